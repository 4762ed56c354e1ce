import { statSync } from "node:fs";
import { connect as connectHttp2 } from "node:http2";
import { connect } from "node:net";
import { basename, dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { connect as connectTls } from "node:tls";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { PATHS } from "../../components/bundle/contract";
import { unsupported } from "../../local/preflight";
import { expectError, FakeWorker, Gateway, KEY, MAX_BODY, type Reply, readReply } from "./gateway";

const NOT_FOUND = { status: 404, code: "not_found" };

describe.skipIf(unsupported() !== undefined)("the gateway", () => {
  const workers = [new FakeWorker(), new FakeWorker()] as const;
  const ports: number[] = [];
  const gateway = new Gateway();

  beforeAll(async () => {
    for (const worker of workers) {
      ports.push(await worker.start());
    }
    await gateway.start(ports);
  });
  afterAll(async () => {
    await gateway.stop();
    await Promise.all(workers.map((worker) => worker.stop()));
  });
  beforeEach(async () => {
    gateway.accept(KEY);
    for (const worker of workers) {
      worker.seen.length = 0;
      worker.behave = "answer";
    }
  });
  const seen = () => workers.flatMap((worker) => worker.seen);

  describe("routes", () => {
    it.each([
      "GET /",
      "GET /v1",
      "GET /v1/models/",
      "GET /v1/models/Qwen3-Embedding-4B",
      "POST /v1/embeddings/",
      "POST //v1/embeddings",
      "POST /v1//embeddings",
      "POST /v1/%65mbeddings",
      "POST /v1/x/../embeddings",
      "POST /v1/./embeddings",
      "POST /v1/embeddings;x",
      "POST /V1/EMBEDDINGS",
      "POST /generate",
      "GET /server_info",
      "GET /healthz",
      "GET /health/",
      "GET /health_generate",
      "GET /metrics",
      "GET /refuse/unauthorized",
      "GET /refuse/not_found",
      "GET /.well-known/x",
    ])("%s is not found", async (line) => {
      expectError(await gateway.send(line), NOT_FOUND);
      expect(seen()).toHaveLength(0);
    });

    it.each([
      ["GET /v1/embeddings", "POST"],
      ["PUT /v1/embeddings", "POST"],
      ["DELETE /v1/models", "GET"],
      ["POST /v1/models", "GET"],
      ["POST /health", "GET"],
      ["OPTIONS /v1/embeddings", "POST"],
      ["TRACE /health", "GET"],
    ])("%s is 405 with Allow: %s", async (line, allow) => {
      const reply = await gateway.send(line);
      expectError(reply, { status: 405, code: "method_not_allowed" });
      expect(reply.headers.allow).toBe(allow);
      expect(seen()).toHaveLength(0);
    });

    it("rejects HEAD without a body", async () => {
      const reply = await gateway.send("HEAD /v1/models");
      expect(reply).toMatchObject({ status: 405, text: "" });
    });

    it("treats a query and an absolute form as the same route", async () => {
      expect((await gateway.send("GET /v1/models?x=1")).status).toBe(200);
      expect((await gateway.send("GET https://gateway/v1/models")).status).toBe(200);
      expectError(await gateway.send("GET https://gateway/server_info"), NOT_FOUND);
    });

    it("requires no key for /health", async () => {
      expect((await gateway.send("GET /health", { key: null })).status).toBe(200);
    });

    it("supports HTTP/2", async () => {
      const session = connectHttp2(`https://127.0.0.1:${gateway.port}`, { rejectUnauthorized: false });
      const stream = session.request({
        ":path": "/v1/embeddings",
        ":method": "POST",
        authorization: `Bearer ${KEY}`,
      });
      stream.end(Buffer.alloc(MAX_BODY, "x"));
      const status = await new Promise((done) =>
        stream.on("response", (headers) => done(headers[":status"])),
      );
      expect(status).toBe(200);
      session.destroy();
    });
  });

  describe("invalid requests", () => {
    it("rejects a body that is too large immediately", async () => {
      const reply = await gateway.send("POST /v1/embeddings", {
        headers: [`Content-Length: ${MAX_BODY + 1}`],
      });
      expectError(reply, { status: 413, code: "request_too_large" });
      expect(reply.text).toContain(`${MAX_BODY} bytes`);
    });

    // nginx would buffer it: with the limit of embeddings, without a key, 1,024 connections would take 8 GiB.
    it.each([
      ["GET /health", null],
      ["GET /v1/models", KEY],
    ])("rejects %s with a body of more than 1 KiB", async (request, key) => {
      const body = (bytes: number) => gateway.send(request, { key, body: "x".repeat(bytes) });
      expect((await body(1024)).status).toBe(200);
      const reply = await body(1025);
      expectError(reply, { status: 413, code: "request_too_large" });
      expect(reply.text).toContain("1024 bytes");
    });

    it("rejects a chunked body that grows too large", async () => {
      const chunk = `${(MAX_BODY + 1).toString(16)}\r\n${"x".repeat(MAX_BODY + 1)}\r\n0\r\n\r\n`;
      const socket = connectTls({ host: "127.0.0.1", port: gateway.port, rejectUnauthorized: false });
      socket.write(
        `POST /v1/embeddings HTTP/1.1\r\nHost: e\r\nConnection: close\r\nAuthorization: Bearer ${KEY}\r\nTransfer-Encoding: chunked\r\n\r\n${chunk}`,
      );
      expectError(await readReply(socket), { status: 413, code: "request_too_large" });
      expect(seen()).toHaveLength(0);
    });

    it("accepts the largest body without a temporary file", async () => {
      const bodies = join(dirname(gateway.keys), "..", basename(PATHS.gatewayRuntime), "client_body");
      const before = statSync(bodies).mtimeMs;
      const reply = await gateway.send("POST /v1/embeddings", { body: Buffer.alloc(MAX_BODY, "x") });
      expect(JSON.parse(reply.text)).toEqual({ size: MAX_BODY });
      expect(statSync(bodies).mtimeMs).toBe(before);
    });

    it.each([
      ["a long header", ["X: ".padEnd(40_000, "x")]],
      ["two hosts", ["Host: other"]],
      ["two lengths", ["Content-Length: 1", "Content-Length: 2"]],
    ])("rejects %s in the same format", async (_, headers) => {
      expectError(await gateway.send("GET /v1/models", { headers }), { status: 400, code: null });
    });

    it.each([
      "GARBAGE",
      "POST /v1/embeddings%00 HTTP/1.1",
      "GET /%zz HTTP/1.1",
      "GET /health HTTP/9.9",
      "GET health HTTP/1.1",
    ])("rejects the request line %j in the same format", async (line) => {
      const socket = connectTls({ host: "127.0.0.1", port: gateway.port, rejectUnauthorized: false });
      socket.write(`${line}\r\nHost: e\r\nConnection: close\r\n\r\n`);
      const reply = await readReply(socket);
      expect(JSON.parse(reply.text).error, reply.text).toMatchObject({
        type: "invalid_request_error",
        param: null,
      });
      expect([400, 405]).toContain(reply.status);
    });

    it("limits a client's large bodies at a time, and accepts small ones meanwhile", async () => {
      workers[0].behave = workers[1].behave = "hang";
      const large = Array.from({ length: 80 }, () =>
        gateway.send("POST /v1/embeddings", { body: "x".repeat(100_000) }),
      );
      // 32 per worker. The other requests are rejected while these wait.
      const refused = await Promise.all(
        large.map((reply) => Promise.race([reply.then(({ status }) => status), sleep(3000)])),
      );
      expect(refused.filter((status) => status === 429)).toHaveLength(80 - 64);
      workers[0].behave = workers[1].behave = "answer";
      expect((await gateway.send("POST /v1/embeddings", { body: "x".repeat(99_999) })).status).toBe(200);
      await Promise.all(workers.map((worker, index) => worker.stop().then(() => worker.start(ports[index]))));
      await Promise.all(large);
    });

    it("reports plain HTTP as an error", async () => {
      const socket = connect(gateway.port, "127.0.0.1");
      socket.write("GET /health HTTP/1.1\r\nHost: e\r\n\r\n");
      const reply = await readReply(socket);
      expectError(reply, { status: 400, code: null });
      expect(reply.text).toContain("HTTPS");
    });
  });

  describe("workers", () => {
    it("never sends a POST twice", async () => {
      workers[0].behave = workers[1].behave = "reset";
      const reply = await gateway.send("POST /v1/embeddings", { body: "{}" });
      expectError(reply, { status: 503, code: "service_unavailable" });
      expect(reply.headers["retry-after"]).toBe("2");
      expect(seen()).toHaveLength(1);
    });

    it("uses the other worker if nothing was sent, also if that one has just failed", async () => {
      workers[1].behave = "reset";
      while (workers[1].seen.length === 0) {
        await gateway.send("POST /v1/embeddings", { body: "{}" });
      }
      workers[1].behave = "answer";
      await workers[0].stop();
      const replies = await Promise.all(
        Array.from({ length: 20 }, () => gateway.send("POST /v1/embeddings", { body: "{}" })),
      );
      expect(replies.map(({ status }) => status)).toEqual(Array(20).fill(200));
      await workers[0].start(ports[0]);
    });

    it("is unavailable without any worker, in the same format, and recovers with one", async () => {
      await Promise.all(workers.map((worker) => worker.stop()));
      expectError(await gateway.send("POST /v1/embeddings", { body: "{}" }), {
        status: 503,
        code: "service_unavailable",
      });
      expectError(await gateway.send("GET /health", { key: null }), {
        status: 503,
        code: "service_unavailable",
      });
      await Promise.all(workers.map((worker, index) => worker.start(ports[index])));
      expect((await gateway.send("POST /v1/embeddings", { body: "{}" })).status).toBe(200);
    });

    it("releases the worker of a client that disconnects", async () => {
      workers[0].behave = workers[1].behave = "hang";
      const socket = connectTls({ host: "127.0.0.1", port: gateway.port, rejectUnauthorized: false });
      socket.write(
        `POST /v1/embeddings HTTP/1.1\r\nHost: e\r\nAuthorization: Bearer ${KEY}\r\nContent-Length: 2\r\n\r\n{}`,
      );
      await expect.poll(() => seen().length).toBe(1);
      const gone = new Promise((done) => seen()[0]?.socket.on("close", () => done("gone")));
      socket.destroy();
      expect(await Promise.race([gone, sleep(2000)])).toBe("gone");
    });
  });

  describe("unauthenticated requests", () => {
    it("limits a flood of wrong keys and samples its log, but limits no client of the same address", async () => {
      const before = gateway.lines("unauthenticated").length;
      const flood = await Promise.all(
        Array.from({ length: 400 }, (_, index) =>
          gateway.send("GET /v1/models", { key: `wrong-${index}`, address: "127.0.0.9" }),
        ),
      );
      const limited = flood.filter(({ status }) => status === 429);
      expect(limited.length).toBeGreaterThan(200);
      expect(limited.length).toBeLessThan(400 - 50);
      expectError(limited[0] as Reply, { status: 429, code: "rate_limit_exceeded" });
      expect(limited[0]?.headers["retry-after"]).toBe("1");
      expect((await gateway.send("GET /v1/models", { address: "127.0.0.9" })).status).toBe(200);
      expect((await gateway.send("GET /v1/models", { key: "wrong", address: "127.0.0.10" })).status).toBe(
        401,
      );
      const lines = gateway.lines("unauthenticated").slice(before);
      expect(lines.filter(({ status }) => status === 429).length).toBeLessThan(30);
      expect(lines.filter(({ status }) => status === 401).length).toBe(401 - limited.length);
    });

    it("also counts paths that do not exist", async () => {
      const flood = await Promise.all(
        Array.from({ length: 200 }, () => gateway.send("GET /admin", { key: null, address: "127.0.0.11" })),
      );
      expect(flood.filter(({ status }) => status === 429).length).toBeGreaterThan(50);
    });
  });
});
