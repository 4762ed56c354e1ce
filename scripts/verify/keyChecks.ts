import { randomBytes } from "node:crypto";
import { excerpt } from "../lib/text";
import { apiError, type Call, type EndpointClient, type Reply } from "./client";
import { type Check, expect } from "./row";
import type { Target } from "./target";

/** Keys that differ from the right one in one place, by what differs. */
const CHANGES: [string, (key: string) => string][] = [
  ["the first character", (key) => changedAt(key, 0)],
  ["a character in the first half", (key) => changedAt(key, Math.floor(key.length / 4))],
  ["the middle character", (key) => changedAt(key, Math.floor(key.length / 2))],
  ["a character in the second half", (key) => changedAt(key, Math.floor((3 * key.length) / 4))],
  ["the last character", (key) => changedAt(key, key.length - 1)],
  ["the case of its last letter", caseChanged],
  ["its last character missing", (key) => key.slice(0, -1)],
  ["one character more", (key) => `${key}A`],
];

/** Which keys are accepted. */
export function keyChecks(client: EndpointClient, target: Target): Check[] {
  const guarded: Call[] = [
    { method: "POST", path: "/v1/embeddings", body: { model: target.model, input: "hello" } },
    { method: "GET", path: "/v1/models" },
  ];
  const sendGuarded = (authorization?: Call["authorization"]) =>
    Promise.all(guarded.map((call) => client.send({ ...call, authorization })));

  return [
    {
      name: "a missing key is refused",
      about: "keys",
      next: "nothing may be served without a key: check /opt/qwen3 and nginx's configuration on the instance",
      async run() {
        const replies = await sendGuarded();
        for (const reply of replies) {
          const challenge = refused(reply);
          expect(
            !/error=/.test(challenge),
            `a missing key must not be an error in WWW-Authenticate: ${challenge}`,
          );
        }
        return `401 on both /v1 routes, ${replies[0]?.headers["www-authenticate"]}`;
      },
    },
    {
      name: "a wrong key is refused",
      about: "keys",
      next: "block access to the endpoint until this is fixed: an unknown key is accepted or handled incorrectly",
      async run() {
        const wrong = `Bearer ${randomBytes(36).toString("hex")}`;
        for (const reply of await sendGuarded(wrong)) {
          const challenge = refused(reply);
          const { code } = apiError(reply);
          expect(
            /error="invalid_token"/.test(challenge),
            `WWW-Authenticate lacks error="invalid_token": ${challenge}`,
          );
          expect(code === "invalid_api_key", `401 with code ${code} instead of invalid_api_key`);
        }
        // SGLang returns 500 for a token outside ASCII.
        for (const reply of await sendGuarded("Bearer schl\u00fcssel")) {
          // A load balancer may reject the request as malformed itself, with its own error.
          if (target.autoScalingGroup === undefined || reply.status !== 400) {
            refused(reply);
          }
        }
        return '401 on both /v1 routes, error="invalid_token", code invalid_api_key';
      },
    },
    {
      name: "a key with one change is refused",
      about: "keys",
      next: "block access to the endpoint until this is fixed: a key is compared only in part, so that many keys fit",
      async run() {
        const found = await Promise.all(
          CHANGES.map(async ([what, change]) => {
            const replies = await sendGuarded(change);
            // Never the text of a reply: it may contain the key that was sent, which is almost the right one.
            return replies.flatMap(({ status }, i) =>
              status === 401 ? [] : [`${what}: ${status} on ${guarded[i]?.path}`],
            );
          }),
        );
        const served = found.flat();
        expect(served.length === 0, `not 401: ${served.join("; ")}`);
        return `401 on both /v1 routes for ${CHANGES.length} changes, ${CHANGES[0]?.[0]} to ${CHANGES.at(-1)?.[0]}`;
      },
    },
    {
      name: "the right key is served",
      about: "keys",
      next: `check the key agent and the workers: journalctl --namespace='*' -u qwen3-keys -u 'qwen3-embed@*' on the instance`,
      async run() {
        for (const reply of await sendGuarded("key")) {
          expect(reply.status === 200, `${reply.status}: ${excerpt(reply.text)}`);
        }
        return "200 on both /v1 routes";
      },
    },
  ];
}

/** @returns the challenge of a 401 in OpenAI's format */
function refused(reply: Reply): string {
  expect(reply.status === 401, `${reply.status} instead of 401: ${excerpt(reply.text)}`);
  const { type } = apiError(reply);
  expect(type === "invalid_request_error", `401 of type ${type} instead of invalid_request_error`);
  const challenge = String(reply.headers["www-authenticate"] ?? "");
  expect(
    /^Bearer realm=/.test(challenge),
    `WWW-Authenticate is ${JSON.stringify(challenge)} instead of Bearer`,
  );
  return challenge;
}

function changedAt(key: string, index: number): string {
  return key.slice(0, index) + (key[index] === "A" ? "B" : "A") + key.slice(index + 1);
}

function caseChanged(key: string): string {
  const changed = key.replace(/[A-Za-z](?=[^A-Za-z]*$)/, (letter) =>
    letter === letter.toLowerCase() ? letter.toUpperCase() : letter.toLowerCase(),
  );
  // A key that somebody stored by hand may have no letter.
  return changed === key ? changedAt(key, 0) : changed;
}
