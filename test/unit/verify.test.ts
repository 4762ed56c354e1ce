import { createServer } from "node:http";
import { describe, expect, onTestFinished, test } from "vitest";
import { listen } from "../loopback";
import { ADVERSARY } from "./fakes/adversary";
import { makeCertificates } from "./fakes/certificates";
import type { Fault } from "./fakes/endpoint";
import { INSTANCE_ROWS, only, Scene } from "./fakes/scene";

const scene = Scene.use();

describe("a correct endpoint", () => {
  test("passes every row", async () => {
    const { rows, requests } = await scene.run();
    expect(rows.filter(({ ok }) => ok !== true)).toEqual([]);
    // As docs/reference/verify.md says. A rotation waits for them.
    expect(requests).toBe(121);
    expect(rows.map(({ name }) => name)).toEqual([
      "the endpoint is ready",
      "a missing key is refused",
      "a wrong key is refused",
      "a key with one change is refused",
      "the right key is served",
      "GET /v1/models lists the model",
      "GET /health needs no key",
      "other paths are not found",
      "other methods are not allowed",
      "an unknown field or model is refused",
      "dimensions out of range are refused",
      "a text above the context is refused",
      "an embedding is complete",
      "dimensions 768 shortens",
      "float and base64 agree",
      "instruction is the card's prompt",
      "the model card's similarities",
      "a batch of 20 is in order",
      "usage counts every token",
      "the end of a text counts",
      "nothing of a long text is cut off",
      "a text of the whole context is served",
      "every worker returns the same vector",
      "the exported CA alone verifies TLS",
      "the certificate is valid for 60 days",
      "plain HTTP does not serve",
      "every worker embeds, on its own port",
      "no key in a file",
    ]);
    expect(scene.aws.commands).toEqual([
      { instanceId: "i-0123456789abcdef0", command: "/usr/local/sbin/qwen3-check --json --wait 240" },
    ]);
  });

  test("works with the shortest context that the settings allow", async () => {
    const { rows } = await scene.run({ arrange: (endpoint) => (endpoint.contextLength = 64) });
    const failed = rows.filter(({ ok }) => ok !== true).map(({ name }) => name);
    // A byte is a token of the fake: the model card's prompts and texts are longer.
    expect(failed).toEqual(["instruction is the card's prompt", "the model card's similarities"]);
  });

  test("does not send longer texts than its speed allows", async () => {
    const slow = { name: "a text of the whole context is served", ok: null };
    for (const [above, evidence] of [
      [2000, /^32768 tokens were not tried: 2500 took 0\.[67] s$/],
      [8000, /^32768 tokens were not tried: 8000 took 0\.[67] s$/],
    ] as const) {
      const delayMs = (characters: number) => (characters > above && characters < 20_000 ? 650 : 0);
      const { rows } = await scene.run({ arrange: (endpoint) => (endpoint.delayMs = delayMs) });
      expect(rows.filter(({ ok }) => ok !== true)).toEqual([expect.objectContaining(slow)]);
      expect(rows.find(({ name }) => name === slow.name)?.evidence).toMatch(evidence);
    }
  });

  test("skips the model card for random weights and says why", async () => {
    const { rows } = await scene.run({ target: { publishedWeights: false } });
    const card = rows.find(({ name }) => name === "the model card's similarities");
    expect(card).toMatchObject({ ok: null, evidence: expect.stringContaining("publishedWeights") });
  });

  test("gets time to accept a new key", async () => {
    const { rows, progress } = await scene.run({ arrange: (endpoint) => (endpoint.refusals = 3) });
    expect(rows.every(({ ok }) => ok)).toBe(true);
    expect(progress).toContainEqual(
      expect.stringContaining("the endpoint does not have the current key yet"),
    );
  });
});

/** The rows that send the right key and expect more than a refusal. */
const NEED_THE_KEY = [
  "the right key is served",
  "GET /v1/models lists the model",
  "an unknown field or model is refused",
  "dimensions out of range are refused",
  "a text above the context is refused",
  "an embedding is complete",
  "dimensions 768 shortens",
  "float and base64 agree",
  "instruction is the card's prompt",
  "the model card's similarities",
  "a batch of 20 is in order",
  "usage counts every token",
  "the end of a text counts",
  "nothing of a long text is cut off",
  "a text of the whole context is served",
  "every worker returns the same vector",
];

/** Each fault, the rows that it fails, and the evidence in the first of them. */
const FAULTS: [Fault, string[], RegExp][] = [
  // Keys
  ["open without a key", ["a missing key is refused"], /200 instead of 401/],
  ["open models without a key", ["a missing key is refused"], /200 instead of 401/],
  ["missing key is an error", ["a missing key is refused"], /must not be an error in WWW-Authenticate/],
  ["open with any key", ["a wrong key is refused", "a key with one change is refused"], /200 instead of 401/],
  [
    "open with a key that begins like the right one",
    ["a key with one change is refused"],
    /not 401: a character in the first half: 200 on \/v1\/embeddings; .*the last character: 200 on \/v1\/models/,
  ],
  [
    "open with a key that has the right length",
    ["a key with one change is refused"],
    /the first character: 200(?!.*one character more)/,
  ],
  [
    "last character of a key ignored",
    ["a key with one change is refused"],
    /not 401: the last character: 200/,
  ],
  [
    "case of a key ignored",
    ["a key with one change is refused"],
    /not 401: the case of its last letter: 200/,
  ],
  ["what follows a key ignored", ["a key with one change is refused"], /not 401: one character more: 200/],
  ["sglang 401", ["a missing key is refused", "a wrong key is refused"], /without OpenAI's error object/],
  ["no challenge", ["a missing key is refused", "a wrong key is refused"], /WWW-Authenticate is ""/],
  ["wrong key without error", ["a wrong key is refused"], /lacks error="invalid_token"/],
  ["wrong key without code", ["a wrong key is refused"], /code null/],
  ["500 on a token outside ascii", ["a wrong key is refused"], /500 instead of 401/],
  ["right key refused", NEED_THE_KEY, /401/],
  // Routes
  ["model not listed", ["GET /v1/models lists the model"], /var\/lib\/qwen3/],
  ["health needs a key", ["GET /health needs no key"], /401/],
  ["server_info open", ["other paths are not found"], /GET \/server_info: 200/],
  ["405 instead of 404", ["other paths are not found"], /GET \/generate: 405/],
  ["404 as html", ["other paths are not found"], /404 without OpenAI's error object/],
  ["get embeddings served", ["other methods are not allowed"], /GET \/v1\/embeddings: 200/],
  ["no allow", ["other methods are not allowed"], /Allow: nothing/],
  // What a request may be
  [
    "unknown fields ignored",
    ["an unknown field or model is refused"],
    /^the field instructions: 200 instead of 400.*; the field truncate: 200/,
  ],
  ["unknown fields without param", ["an unknown field or model is refused"], /param null and code null/],
  ["any model served", ["an unknown field or model is refused"], /^another model: 200 instead of 404/],
  [
    "too few dimensions served",
    ["dimensions out of range are refused"],
    /^dimensions 0: 200.*dimensions 31: 200/,
  ],
  ["too many dimensions served", ["dimensions out of range are refused"], /^dimensions 2561: 200/],
  ["no context limit", ["a text above the context is refused"], /^32769 tokens: 200 instead of 400/],
  [
    "context limit without code",
    ["a text above the context is refused"],
    /code null instead of input and context/,
  ],
  ["context shorter than listed", ["a text of the whole context is served"], /^400: /],
  // Vectors
  [
    "unnormalized",
    ["an embedding is complete", "dimensions 768 shortens", "float and base64 agree"],
    /length is 2/,
  ],
  [
    "fewer dimensions",
    [
      "an embedding is complete",
      "dimensions 768 shortens",
      "float and base64 agree",
      "the model card's similarities",
    ],
    /1024/,
  ],
  ["model is a path", ["an embedding is complete"], /model is "\/var/],
  [
    "items out of order",
    [
      "instruction is the card's prompt",
      "the model card's similarities",
      "a batch of 20 is in order",
      "usage counts every token",
    ],
    /out of order/,
  ],
  ["dimensions ignored", ["dimensions 768 shortens"], /2560 dimensions instead of 768/],
  ["dimensions unnormalized", ["dimensions 768 shortens"], /length is 0/],
  ["dimensions not a prefix", ["dimensions 768 shortens"], /not the start of the full vector/],
  ["big-endian base64", ["float and base64 agree", "a batch of 20 is in order"], /length is/],
  ["base64 ignored", ["float and base64 agree"], /different encoding/],
  ["float ignored", ["float and base64 agree"], /different encoding/],
  [
    "instruction ignored",
    ["instruction is the card's prompt", "the model card's similarities"],
    /1\.000000 with the plain text/,
  ],
  [
    "instruction with a space",
    ["instruction is the card's prompt", "the model card's similarities"],
    /1\.000000 with a space/,
  ],
  ["card's similarities off", ["the model card's similarities"], /apart at most/],
  ["long batches reversed", ["a batch of 20 is in order"], /^float: 20 of 20 texts/],
  ["long base64 batches reversed", ["a batch of 20 is in order"], /^base64: 20 of 20 texts/],
  ["last character of a text ignored", ["the end of a text counts"], /^16 characters: cosine 1\.000000/],
  [
    "texts cut at 2,000 characters",
    ["nothing of a long text is cut off"],
    /^2760 characters: cosine 1\.000000/,
  ],
  [
    "texts cut at 8,000 characters",
    ["nothing of a long text is cut off"],
    /^8260 characters: cosine 1\.000000/,
  ],
  [
    "texts cut at 20,000 characters",
    ["a text of the whole context is served"],
    /^32767 characters: cosine 1\.000000/,
  ],
  ["one worker differs", ["every worker returns the same vector"], /^3 of 16 connections returned another/],
  // Usage
  ["no usage", ["usage counts every token"], /no usage\.prompt_tokens/],
  [
    "usage of the first text",
    ["usage counts every token"],
    /^2 prompt_tokens for the three texts together instead of 74/,
  ],
  ["usage without end of text", ["usage counts every token"], /^1, 10, 60 prompt_tokens/],
  ["usage of texts", ["usage counts every token"], /^1, 1, 1 prompt_tokens/],
  ["usage with another total", ["usage counts every token"], /total_tokens is 0/],
];

describe("a fault fails its row", () => {
  test.each(FAULTS)("%s", async (fault, names, evidence) => {
    const { rows } = await scene.run({ fault });
    const failed = rows.filter(({ ok }) => ok === false);
    expect(failed.map(({ name }) => name)).toEqual(names);
    expect(failed[0]?.evidence).toMatch(evidence);
    expect(failed.every(({ next }) => next)).toBe(true);
  });

  test("each row has a fault of its own", async () => {
    const { rows } = await scene.run();
    const own = new Set(FAULTS.map(([, [first]]) => first));
    expect(rows.map(({ name }) => name).filter((name) => !own.has(name))).toEqual([
      // Tested below.
      "the endpoint is ready",
      "the exported CA alone verifies TLS",
      "the certificate is valid for 60 days",
      "plain HTTP does not serve",
      // Tested in machine/tests.
      ...INSTANCE_ROWS.map(({ name }) => name),
    ]);
  });

  test("plain HTTP on its own port", async () => {
    const server = createServer((_, reply) => reply.writeHead(301, { location: "https://x/" }).end());
    onTestFinished(() => void server.close());
    const { rows } = await scene.run({ options: { plainPort: await listen(server) } });
    expect(only(rows)).toMatchObject({ name: "plain HTTP does not serve", evidence: /returns 301/ });
  });

  test.each([
    [
      "a certificate",
      { certificate: 59 },
      {},
      /the certificate ends in 5[89] days.*"Test CA" ends in (99|100)/,
    ],
    ["the CA that signed it", { ca: 59 }, {}, /"Test CA" ends in 5[89] days.*"Other CA" ends in (99|100)/],
    ["the other CA", {}, { ca: 59 }, /"Test CA" ends in (99|100) days.*"Other CA" ends in 5[89]/],
  ])("%s that ends in 59 days", async (_, validity, otherValidity, evidence) => {
    const served = makeCertificates("IP:127.0.0.1", validity);
    const other = makeCertificates("IP:127.0.0.1", otherValidity, "Other CA");
    const { rows } = await scene.run({ served, target: { caCertificate: served.ca + other.ca } });
    expect(only(rows)).toMatchObject({
      name: "the certificate is valid for 60 days",
      evidence,
      next: /pulumi up -s STACK/,
    });
  });

  test("no row if both CAs and the certificate are valid for longer, whichever CA signed it", async () => {
    const other = makeCertificates("IP:127.0.0.1", {}, "Other CA").ca;
    for (const caCertificate of [scene.certificates.ca + other, other + scene.certificates.ca]) {
      const { rows } = await scene.run({ target: { caCertificate } });
      expect(rows.filter(({ ok }) => !ok)).toEqual([]);
    }
  });

  test("a publicly trusted certificate", async () => {
    const { rows } = await scene.run({ options: { publicRoots: [scene.certificates.ca] } });
    expect(only(rows)).toMatchObject({ name: "the exported CA alone verifies TLS", evidence: /public CAs/ });
  });
});

test("a server without a model fails a row for each of its faults", async () => {
  const { rows } = await scene.run({ faults: ADVERSARY });
  expect(rows.filter(({ ok }) => ok === false).map(({ name }) => name)).toEqual([
    "a key with one change is refused",
    "an unknown field or model is refused",
    "dimensions out of range are refused",
    "a text above the context is refused",
    "a batch of 20 is in order",
    "usage counts every token",
    "the end of a text counts",
    "nothing of a long text is cut off",
    "every worker returns the same vector",
  ]);
});

describe("an endpoint that does not become ready", () => {
  test.each<[Fault, RegExp]>([
    ["starting", /503 starting: nginx is running, the workers are loading/],
    ["health broken", /\/health returned 502/],
  ])("%s", async (fault, state) => {
    const { rows, progress } = await scene.run({ fault, target: { timeoutSeconds: 0.03 } });
    expect(rows).toHaveLength(1);
    expect(only(rows)).toMatchObject({
      name: "the endpoint is ready",
      evidence: state,
      next: /cloud-init status/,
    });
    expect(progress[0]).toMatch(/^ {2}0:00 {2}waiting: /);
  });

  test("with a certificate of another CA", async () => {
    const { rows } = await scene.run({ target: { timeoutSeconds: 0.03, caCertificate: scene.foreign.ca } });
    expect(only(rows)).toMatchObject({ name: "the endpoint is ready", evidence: /TLS: .*SIGNATURE/ });
  });

  test("with a certificate for another host", async () => {
    const served = makeCertificates("IP:127.0.0.2");
    const { rows } = await scene.run({ served, target: { timeoutSeconds: 0.03, caCertificate: served.ca } });
    expect(only(rows).evidence).toMatch(/TLS: ERR_TLS_CERT_ALTNAME_INVALID/);
  });

  test("on which nothing listens", async () => {
    const { rows } = await scene.run({
      target: { timeoutSeconds: 0.03, endpoint: `https://127.0.0.1:${scene.closedPort}/v1` },
    });
    expect(only(rows).evidence).toMatch(/connection refused/);
  });

  test("even if the environment disables certificate verification", async () => {
    process.env.NODE_TLS_REJECT_UNAUTHORIZED = "0";
    onTestFinished(() => void delete process.env.NODE_TLS_REJECT_UNAUTHORIZED);
    const { rows } = await scene.run({ target: { timeoutSeconds: 0.03, caCertificate: scene.foreign.ca } });
    expect(only(rows).evidence).toMatch(/TLS: /);
  });
});
