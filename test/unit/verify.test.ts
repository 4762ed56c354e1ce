import { createServer } from "node:http";
import { describe, expect, onTestFinished, test } from "vitest";
import { ADVERSARY } from "./fakes/adversary";
import { makeCertificates } from "./fakes/certificates";
import type { Fault } from "./fakes/endpoint";
import { listen, only, Scene } from "./fakes/scene";

const scene = Scene.use();

describe("a correct endpoint", () => {
  test("passes every row", async () => {
    const { rows } = await scene.run();
    expect(rows.filter(({ ok }) => ok !== true)).toEqual([]);
    expect(rows.map(({ name }) => name)).toEqual([
      "the endpoint is ready",
      "a missing key is refused",
      "a wrong key is refused",
      "GET /v1/models lists the model",
      "GET /health needs no key",
      "other paths are not found",
      "other methods are not allowed",
      "the right key is served",
      "dimensions 768 shortens",
      "float and base64 agree",
      "instruction is the card's prompt",
      "the model card's similarities",
      "the exported CA alone verifies TLS",
      "plain HTTP does not serve",
      "no key in a process argument",
      "no key in a file",
    ]);
    expect(scene.aws.commands).toEqual([
      { instanceId: "i-0123456789abcdef0", command: "/usr/local/sbin/qwen3-audit --json" },
    ]);
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

/** Each fault, the rows that it fails, and the evidence in the first of them. */
const FAULTS: [Fault, string[], RegExp][] = [
  ["open without a key", ["a missing key is refused"], /200 instead of 401/],
  ["open models without a key", ["a missing key is refused"], /200 instead of 401/],
  ["missing key is an error", ["a missing key is refused"], /must not be an error in WWW-Authenticate/],
  ["open with any key", ["a wrong key is refused"], /200 instead of 401/],
  ["sglang 401", ["a missing key is refused", "a wrong key is refused"], /without OpenAI's error object/],
  ["no challenge", ["a missing key is refused", "a wrong key is refused"], /WWW-Authenticate is ""/],
  ["wrong key without error", ["a wrong key is refused"], /lacks error="invalid_token"/],
  ["wrong key without code", ["a wrong key is refused"], /code null/],
  ["500 on a token outside ascii", ["a wrong key is refused"], /500 instead of 401/],
  ["model not listed", ["GET /v1/models lists the model"], /var\/lib\/qwen3/],
  ["health needs a key", ["GET /health needs no key"], /401/],
  ["server_info open", ["other paths are not found"], /GET \/server_info: 200/],
  ["405 instead of 404", ["other paths are not found"], /GET \/generate: 405/],
  ["404 as html", ["other paths are not found"], /404 without OpenAI's error object/],
  ["get embeddings served", ["other methods are not allowed"], /GET \/v1\/embeddings: 200/],
  ["no allow", ["other methods are not allowed"], /Allow: nothing/],
  [
    "unnormalized",
    ["the right key is served", "dimensions 768 shortens", "float and base64 agree"],
    /length is 2/,
  ],
  [
    "fewer dimensions",
    [
      "the right key is served",
      "dimensions 768 shortens",
      "float and base64 agree",
      "the model card's similarities",
    ],
    /1024/,
  ],
  ["model is a path", ["the right key is served"], /model is "\/var/],
  [
    "items out of order",
    ["instruction is the card's prompt", "the model card's similarities"],
    /out of order/,
  ],
  ["dimensions ignored", ["dimensions 768 shortens"], /2560 dimensions instead of 768/],
  ["dimensions unnormalized", ["dimensions 768 shortens"], /length is 0/],
  ["dimensions not a prefix", ["dimensions 768 shortens"], /not the start of the full vector/],
  ["big-endian base64", ["float and base64 agree"], /length is/],
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
  [
    "right key refused",
    [
      "GET /v1/models lists the model",
      "the right key is served",
      "dimensions 768 shortens",
      "float and base64 agree",
      "instruction is the card's prompt",
      "the model card's similarities",
    ],
    /401/,
  ],
];

describe("a fault fails its row", () => {
  test.each(FAULTS)("%s", async (fault, names, evidence) => {
    const { rows } = await scene.run({ fault });
    const failed = rows.filter(({ ok }) => ok === false);
    expect(failed.map(({ name }) => name)).toEqual(names);
    expect(failed[0]?.evidence).toMatch(evidence);
    expect(failed.every(({ next }) => next)).toBe(true);
  });

  test("plain HTTP on its own port", async () => {
    const server = createServer((_, reply) => reply.writeHead(301, { location: "https://x/" }).end());
    onTestFinished(() => void server.close());
    const { rows } = await scene.run({ options: { plainPort: await listen(server) } });
    expect(only(rows)).toMatchObject({ name: "plain HTTP does not serve", evidence: /returns 301/ });
  });

  test("a publicly trusted certificate", async () => {
    const { rows } = await scene.run({ options: { publicRoots: [scene.certificates.ca] } });
    expect(only(rows)).toMatchObject({ name: "the exported CA alone verifies TLS", evidence: /public CAs/ });
  });
});

test("a server without a model passes every check from outside", async () => {
  const { rows } = await scene.run({ faults: ADVERSARY, options: { skipMachine: true } });
  expect(rows.filter(({ ok }) => ok)).toHaveLength(14);
  expect(rows.filter(({ ok }) => ok === false)).toEqual([]);
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
