import { randomBytes } from "node:crypto";
import { excerpt } from "../lib/text";
import { apiError, type Call, type EndpointClient, type Reply } from "./client";
import { type Check, expect } from "./row";
import type { Target } from "./target";

/** Which keys are accepted. */
export function keyChecks(client: EndpointClient, target: Target): Check[] {
  const guarded: Call[] = [
    { method: "POST", path: "/v1/embeddings", body: { model: target.model, input: "hello" } },
    { method: "GET", path: "/v1/models" },
  ];
  const sendGuarded = (authorization?: string) =>
    Promise.all(guarded.map((call) => client.send({ ...call, authorization })));

  return [
    {
      name: "a missing key is refused",
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
