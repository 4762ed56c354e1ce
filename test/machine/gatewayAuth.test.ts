import { createHash } from "node:crypto";
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { connect as connectTls } from "node:tls";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { KEY_FILES } from "../../components/bundle/contract";
import { unsupported } from "../../local/preflight";
import { ROOT } from "../../scripts/lib/paths";
import { expectError, FakeWorker, Gateway, KEY, readReply } from "./gateway";

const REFUSALS = {
  401: { status: 401, code: "invalid_api_key" },
  503: { status: 503, code: "service_unavailable" },
};

/** Digest files and what nginx and a worker return for each; machine/tests/test_auth.py has the worker's part. */
const DIGEST_FILES = JSON.parse(readFileSync(join(ROOT, "machine/tests/digest_files.json"), "utf8")) as {
  text: string;
  ends?: number;
  nginx: 200 | 401 | 503;
  worker: 200 | 401 | 503;
}[];

describe.skipIf(unsupported() !== undefined)("the gateway's check of keys", () => {
  const worker = new FakeWorker();
  const gateway = new Gateway();

  beforeAll(async () => {
    await gateway.start([await worker.start()]);
  });
  afterAll(async () => {
    await gateway.stop();
    await worker.stop();
  });
  beforeEach(() => {
    gateway.accept(KEY);
    worker.seen.length = 0;
  });

  it.each(["POST /v1/embeddings", "GET /v1/models"])("%s requires a key", async (line) => {
    const missing = await gateway.send(line, { key: null });
    expectError(missing, { status: 401, code: null });
    expect(missing.headers["www-authenticate"]).toBe('Bearer realm="qwen3-embedding"');
    const wrong = await gateway.send(line, { key: `${KEY}x` });
    expectError(wrong, { status: 401, code: "invalid_api_key" });
    expect(wrong.headers["www-authenticate"]).toBe('Bearer realm="qwen3-embedding", error="invalid_token"');
    expect(worker.seen).toHaveLength(0);
    expect((await gateway.send(line)).status).toBe(200);
  });

  it.each([
    ["another scheme", `Basic ${KEY}`],
    ["no token", "Bearer"],
    ["two tokens", `Bearer ${KEY} ${KEY}`],
    ["more than 512 characters", `Bearer ${"k".repeat(513)}`],
    ["bytes beyond ASCII", `Bearer ${KEY}\xe9`],
    ["a path", "Bearer ../../loaded"],
    ["a digest", `Bearer ${createHash("sha256").update(KEY).digest("hex")}`],
  ])("%s is refused", async (_, header) => {
    const reply = await gateway.send("GET /v1/models", {
      key: null,
      headers: [`Authorization: ${header}`],
    });
    expectError(reply, { status: 401, code: "invalid_api_key" });
    expect(worker.seen).toHaveLength(0);
  });

  it("accepts the scheme in any case and more than one space", async () => {
    const headers = [`authorization: bEARER   ${KEY}`];
    expect((await gateway.send("GET /v1/models", { key: null, headers })).status).toBe(200);
  });

  it("passes Authorization on, sets Host and sends the request's ID to both sides", async () => {
    const reply = await gateway.send("GET /v1/models", { headers: ["X-Request-Id: mine"] });
    const headers = worker.seen[0]?.headers;
    expect(headers).toMatchObject({ authorization: `Bearer ${KEY}`, host: "gateway" });
    expect(headers?.["x-request-id"]).toBe(reply.headers["x-request-id"]);
    expect(headers?.["x-request-id"]).toMatch(/^[0-9a-f]{32}$/);
  });

  it("refuses a key from its end, to the second and without a reload", async () => {
    gateway.accept(KEY, Date.now() / 1000 + 1);
    expect((await gateway.send("GET /v1/models")).status).toBe(200);
    await sleep(1100);
    expectError(await gateway.send("GET /v1/models"), { status: 401, code: "invalid_api_key" });
  });

  it("returns 503, not 401, for an unknown key until the keys are loaded", async () => {
    rmSync(join(gateway.keys, KEY_FILES.loaded));
    const unknown = await gateway.send("GET /v1/models", { key: `${KEY}x` });
    expectError(unknown, { status: 503, code: "service_unavailable" });
    expect(unknown.headers["retry-after"]).toBe("2");
    gateway.accept(KEY);
    expect((await gateway.send("GET /v1/models")).status).toBe(200);
  });

  it.each(DIGEST_FILES.map((file) => ({ ...file, begins: file.text.slice(0, 50) })))(
    "the file $begins, $ends s from its end: $nginx",
    async ({ text, ends, nginx }) => {
      const other = "another-key".padEnd(54, "x");
      gateway.accept(other);
      gateway.write(KEY, text.replace("END", String(Date.now() / 1000 + (ends ?? 0))));
      const reply = await gateway.send("GET /v1/models");
      if (nginx === 200) {
        expect(reply.status).toBe(200);
      } else {
        expectError(reply, REFUSALS[nginx]);
      }
      expect(reply.headers["retry-after"]).toBe(nginx === 503 ? "2" : undefined);
      // No other key is affected, and the next pass of qwen3-keys writes the file again.
      expect((await gateway.send("GET /v1/models", { key: other })).status).toBe(200);
      gateway.accept(KEY);
      expect((await gateway.send("GET /v1/models")).status).toBe(200);
    },
  );

  it("passes on a request whose key expires while its body is being sent", async () => {
    const socket = connectTls({ host: "127.0.0.1", port: gateway.port, rejectUnauthorized: false });
    const reply = readReply(socket);
    socket.write(
      `POST /v1/embeddings HTTP/1.1\r\nHost: e\r\nConnection: close\r\nAuthorization: Bearer ${KEY}\r\nContent-Length: 4\r\n\r\n{`,
    );
    await sleep(300);
    gateway.accept(KEY, Date.now() / 1000);
    expectError(await gateway.send("GET /v1/models"), REFUSALS[401]);
    socket.write("  }");
    expect((await reply).status).toBe(200);
    expect(worker.seen.map((request) => request.headers.authorization)).toEqual([`Bearer ${KEY}`]);
  });

  it.each([
    ["the valid one first", [KEY, `${KEY}x`]],
    ["the valid one last", [`${KEY}x`, KEY]],
  ])("checks, of two headers, the one that the worker gets, %s", async (_, keys) => {
    const headers = keys.map((key) => `Authorization: Bearer ${key}`);
    const reply = await gateway.send("GET /v1/models", { key: null, headers });
    expect(worker.seen.map((request) => request.headers.authorization)).toEqual(
      reply.status === 200 ? [`Bearer ${KEY}`] : [],
    );
  });
});
