import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { cpSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createServer, type IncomingMessage, type Server } from "node:http";
import { connect as connectHttp2 } from "node:http2";
import { type AddressInfo, connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { connect as connectTls } from "node:tls";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { FleetMembership } from "../../components/bundle/instanceConfig";
import { gatewayKeys, prepareGateway } from "../../local/gateway";
import { unsupported } from "../../local/preflight";
import { freePort } from "../freePort";

const MAX_BODY = 1_000_000;
const KEY = "qwe3_".padEnd(54, "k");
const NOT_FOUND = { status: 404, code: "not_found" };

interface Reply {
  status: number;
  headers: Record<string, string>;
  text: string;
}

/** A worker that records what reaches it, and does as it is told. */
class FakeWorker {
  readonly seen: IncomingMessage[] = [];
  behave: "answer" | "reset" | "hang" = "answer";
  #server: Server | undefined;

  async start(port = 0): Promise<number> {
    const server = createServer((request, reply) => {
      this.seen.push(request);
      let size = 0;
      request.on("data", (chunk: Buffer) => {
        size += chunk.length;
      });
      request.on("end", () => {
        if (this.behave === "reset") {
          request.socket.resetAndDestroy();
        } else if (this.behave === "answer") {
          reply.setHeader("content-type", "application/json").end(JSON.stringify({ size }));
        }
      });
    });
    this.#server = server;
    await new Promise<void>((done) => server.listen(port, "127.0.0.1", done));
    return (server.address() as AddressInfo).port;
  }

  async stop(): Promise<void> {
    this.#server?.closeAllConnections();
    await new Promise((done) => this.#server?.close(done));
  }
}

/** The machine's nginx on loopback, and a client of it. */
class Gateway {
  readonly folder = mkdtempSync(join(tmpdir(), "qwen3-gateway-"));
  port = 0;
  #process: ChildProcess | undefined;

  async start(workerPorts: number[], fleet?: FleetMembership): Promise<void> {
    this.port = await freePort();
    const options = { port: this.port, workerPorts, maxBodyBytes: MAX_BODY, fleet };
    const [file = "", ...args] = (await prepareGateway(this.folder, options)).command;
    execFileSync(file, [...args, "-t", "-q"], { stdio: "inherit" });
    this.#process = spawn(file, args, { stdio: "inherit" });
    await untilListening(this.port);
  }

  get keys(): string {
    return gatewayKeys(this.folder);
  }

  /** Lines of the access log so far. */
  get log(): Record<string, unknown>[] {
    return readFileSync(join(this.folder, "access.log"), "utf8")
      .split("\n")
      .filter(Boolean)
      .map((line) => JSON.parse(line));
  }

  honour(key: string, notAfter: number | null = null): void {
    const digest = createHash("sha256").update(key).digest("hex");
    writeFileSync(join(this.keys, "edge", digest), JSON.stringify({ client: "default", notAfter }));
  }

  async stop(): Promise<void> {
    if (this.#process?.kill("SIGTERM")) {
      await once(this.#process, "exit");
    }
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** Sends bytes as they are over TLS and reads the first answer; a request line alone gets the usual headers. */
  async send(
    line: string,
    {
      key = KEY as string | null,
      headers = [] as string[],
      body = "" as string | Buffer,
      address = "127.0.0.1",
    } = {},
  ): Promise<Reply> {
    // TLS over a socket of one's own: only that chooses the address from which it comes.
    const socket = connectTls({
      socket: connect({ host: "127.0.0.1", port: this.port, localAddress: address }),
      rejectUnauthorized: false,
      ALPNProtocols: ["http/1.1"],
    });
    const lines = [`${line} HTTP/1.1`, "Host: gateway", "Connection: close", ...headers];
    socket.setTimeout(10_000, () => socket.destroy());
    if (key !== null) {
      lines.push(`Authorization: Bearer ${key}`);
    }
    if (body.length > 0) {
      lines.push(`Content-Length: ${body.length}`, "Content-Type: application/json");
    }
    socket.write(`${lines.join("\r\n")}\r\n\r\n`, "latin1");
    socket.write(body);
    return readReply(socket);
  }
}

async function readReply(socket: Socket): Promise<Reply> {
  const chunks: Buffer[] = [];
  socket.on("data", (chunk) => chunks.push(chunk));
  await new Promise<void>((done) => {
    socket.on("close", () => done());
    socket.on("error", () => done());
  });
  const [head = "", ...rest] = Buffer.concat(chunks).toString().split("\r\n\r\n");
  const [status = "", ...lines] = head.split("\r\n");
  const headers = Object.fromEntries(
    lines.map((line) => [line.split(":")[0]?.toLowerCase(), line.slice(line.indexOf(":") + 2)]),
  );
  return { status: Number(status.split(" ")[1]), headers, text: rest.join("\r\n\r\n") };
}

async function untilListening(port: number): Promise<void> {
  for (let tries = 0; tries < 100; tries++) {
    const open = await new Promise<boolean>((done) => {
      const socket = connect(port, "127.0.0.1", () => done(true));
      socket.on("error", () => done(false));
      socket.on("connect", () => socket.destroy());
    });
    if (open) {
      return;
    }
    await sleep(50);
  }
  throw new Error(`nothing listens on ${port}`);
}

function expectError(reply: Reply, { status, code }: { status: number; code: string | null }): void {
  expect(reply.status, reply.text).toBe(status);
  expect(reply.headers["content-type"]).toBe("application/json");
  expect(reply.headers["x-request-id"]).toMatch(/^[0-9a-f]{32}$/);
  const { error } = JSON.parse(reply.text);
  expect(error).toEqual({ message: expect.any(String), type: expect.any(String), param: null, code });
}

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
    writeFileSync(join(gateway.keys, "loaded"), "");
    gateway.honour(KEY);
    for (const worker of workers) {
      worker.seen.length = 0;
      worker.behave = "answer";
    }
  });
  const seen = () => workers.flatMap((worker) => worker.seen);

  describe("keys", () => {
    it.each(["POST /v1/embeddings", "GET /v1/models"])("%s needs one", async (line) => {
      const missing = await gateway.send(line, { key: null });
      expectError(missing, { status: 401, code: null });
      expect(missing.headers["www-authenticate"]).toBe('Bearer realm="qwen3-embedding"');
      const wrong = await gateway.send(line, { key: `${KEY}x` });
      expectError(wrong, { status: 401, code: "invalid_api_key" });
      expect(wrong.headers["www-authenticate"]).toBe('Bearer realm="qwen3-embedding", error="invalid_token"');
      expect(seen()).toHaveLength(0);
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
      expect(seen()).toHaveLength(0);
    });

    it("takes the scheme in any case and more than one space", async () => {
      const headers = [`authorization: bEARER   ${KEY}`];
      expect((await gateway.send("GET /v1/models", { key: null, headers })).status).toBe(200);
    });

    it("passes Authorization on, sets Host and gives the request's ID to both sides", async () => {
      const reply = await gateway.send("GET /v1/models", { headers: ["X-Request-Id: mine"] });
      const headers = seen()[0]?.headers;
      expect(headers).toMatchObject({ authorization: `Bearer ${KEY}`, host: "gateway" });
      expect(headers?.["x-request-id"]).toBe(reply.headers["x-request-id"]);
      expect(headers?.["x-request-id"]).toMatch(/^[0-9a-f]{32}$/);
    });

    it("honours a deadline to the second, without a reload", async () => {
      gateway.honour(KEY, Date.now() / 1000 + 1);
      expect((await gateway.send("GET /v1/models")).status).toBe(200);
      await sleep(1100);
      expectError(await gateway.send("GET /v1/models"), { status: 401, code: "invalid_api_key" });
    });

    it("says 503, not 401, while it cannot know", async () => {
      rmSync(join(gateway.keys, "loaded"));
      const unknown = await gateway.send("GET /v1/models", { key: `${KEY}x` });
      expectError(unknown, { status: 503, code: "service_unavailable" });
      expect(unknown.headers["retry-after"]).toBe("2");
      writeFileSync(join(gateway.keys, "loaded"), "");
      const digest = createHash("sha256").update(KEY).digest("hex");
      writeFileSync(join(gateway.keys, "edge", digest), '{"client":');
      expectError(await gateway.send("GET /v1/models"), { status: 503, code: "service_unavailable" });
    });

    it.each(['{"client":', "", "null", "[]", "\0"])(
      "reads the workers' copy of a file that holds %j",
      async (text) => {
        const digest = createHash("sha256").update(KEY).digest("hex");
        const door = join(gateway.keys, "door", digest);
        cpSync(join(gateway.keys, "edge", digest), door);
        writeFileSync(join(gateway.keys, "edge", digest), text);
        expect((await gateway.send("GET /v1/models")).status).toBe(200);
        writeFileSync(door, JSON.stringify({ client: "default", notAfter: Date.now() / 1000 - 1 }));
        expectError(await gateway.send("GET /v1/models"), { status: 401, code: "invalid_api_key" });
        rmSync(door);
      },
    );
  });

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

    it("answers HEAD without a body", async () => {
      const reply = await gateway.send("HEAD /v1/models");
      expect(reply).toMatchObject({ status: 405, text: "" });
    });

    it("takes a query and an absolute form as the same route", async () => {
      expect((await gateway.send("GET /v1/models?x=1")).status).toBe(200);
      expect((await gateway.send("GET https://gateway/v1/models")).status).toBe(200);
      expectError(await gateway.send("GET https://gateway/server_info"), NOT_FOUND);
    });

    it("asks no key for /health", async () => {
      expect((await gateway.send("GET /health", { key: null })).status).toBe(200);
    });

    it("speaks HTTP/2", async () => {
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

  describe("requests that are not", () => {
    it("refuses a body that is too large at once", async () => {
      const reply = await gateway.send("POST /v1/embeddings", {
        headers: [`Content-Length: ${MAX_BODY + 1}`],
      });
      expectError(reply, { status: 413, code: "request_too_large" });
      expect(reply.text).toContain(`${MAX_BODY} bytes`);
    });

    it("refuses a chunked body that grows too large", async () => {
      const chunk = `${(MAX_BODY + 1).toString(16)}\r\n${"x".repeat(MAX_BODY + 1)}\r\n0\r\n\r\n`;
      const socket = connectTls({ host: "127.0.0.1", port: gateway.port, rejectUnauthorized: false });
      socket.write(
        `POST /v1/embeddings HTTP/1.1\r\nHost: e\r\nConnection: close\r\nAuthorization: Bearer ${KEY}\r\nTransfer-Encoding: chunked\r\n\r\n${chunk}`,
      );
      expectError(await readReply(socket), { status: 413, code: "request_too_large" });
      expect(seen()).toHaveLength(0);
    });

    it("takes the largest body without a temporary file", async () => {
      const reply = await gateway.send("POST /v1/embeddings", { body: Buffer.alloc(MAX_BODY, "x") });
      expect(JSON.parse(reply.text)).toEqual({ size: MAX_BODY });
      expect(readFileSync(join(gateway.folder, "error.log"), "utf8")).not.toContain("temporary file");
    });

    it.each([
      ["a long header", ["X: ".padEnd(40_000, "x")]],
      ["two hosts", ["Host: other"]],
      ["two lengths", ["Content-Length: 1", "Content-Length: 2"]],
    ])("refuses %s in the same shape", async (_, headers) => {
      expectError(await gateway.send("GET /v1/models", { headers }), { status: 400, code: null });
    });

    it.each([
      "GARBAGE",
      "POST /v1/embeddings%00 HTTP/1.1",
      "GET /%zz HTTP/1.1",
      "GET /health HTTP/9.9",
      "GET health HTTP/1.1",
    ])("answers the request line %j in the same shape", async (line) => {
      const socket = connectTls({ host: "127.0.0.1", port: gateway.port, rejectUnauthorized: false });
      socket.write(`${line}\r\nHost: e\r\nConnection: close\r\n\r\n`);
      const reply = await readReply(socket);
      expect(JSON.parse(reply.text).error, reply.text).toMatchObject({
        type: "invalid_request_error",
        param: null,
      });
      expect([400, 405]).toContain(reply.status);
    });

    it("takes so many large bodies of a client at a time, and small ones beside them", async () => {
      workers[0].behave = workers[1].behave = "hang";
      const large = Array.from({ length: 80 }, () =>
        gateway.send("POST /v1/embeddings", { body: "x".repeat(100_000) }),
      );
      // 32 a worker; the rest is refused while those wait.
      const refused = await Promise.all(
        large.map((reply) => Promise.race([reply.then(({ status }) => status), sleep(3000)])),
      );
      expect(refused.filter((status) => status === 429)).toHaveLength(80 - 64);
      workers[0].behave = workers[1].behave = "answer";
      expect((await gateway.send("POST /v1/embeddings", { body: "x".repeat(99_999) })).status).toBe(200);
      await Promise.all(workers.map((worker, index) => worker.stop().then(() => worker.start(ports[index]))));
      await Promise.all(large);
    });

    it("says so to plain HTTP", async () => {
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

    it("goes to the other worker where nothing was sent, also when that has just failed", async () => {
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

    it("is unavailable, in shape, without any worker, and well again with one", async () => {
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

    it("frees the worker of a client that hangs up", async () => {
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
    it("slows a flood of wrong keys, samples its log, and no client of the same address", async () => {
      const before = gateway.log.length;
      const errors = statSync(join(gateway.folder, "error.log")).size;
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
      expect(statSync(join(gateway.folder, "error.log")).size).toBe(errors);
      const lines = gateway.log.slice(before);
      expect(lines.filter(({ status }) => status === 429).length).toBeLessThan(30);
      expect(lines.filter(({ status }) => status === 401).length).toBe(401 - limited.length);
    });

    it("counts paths that do not exist as well", async () => {
      const flood = await Promise.all(
        Array.from({ length: 200 }, () => gateway.send("GET /admin", { key: null, address: "127.0.0.11" })),
      );
      expect(flood.filter(({ status }) => status === 429).length).toBeGreaterThan(50);
    });
  });

  it("logs JSON without keys, queries and bodies", async () => {
    await gateway.send(`POST /v1/embeddings?key=${KEY}`, {
      body: '{"input":"private"}',
      headers: ['User-Agent: a"b'],
    });
    await expect.poll(() => gateway.log.at(-1)?.path).toBe("/v1/embeddings");
    const line = gateway.log.at(-1);
    expect(line).toMatchObject({
      client: "default",
      method: "POST",
      path: "/v1/embeddings",
      status: 200,
      weight: 1,
    });
    expect(line?.worker).toMatch(/^127\.0\.0\.1:\d+$/);
    const all = ["access.log", "error.log"]
      .map((name) => readFileSync(join(gateway.folder, name), "utf8"))
      .join("");
    expect(all).not.toContain(KEY);
    expect(all).not.toContain("private");
  });
});

describe.skipIf(unsupported() !== undefined)("the gateway behind a load balancer", () => {
  const worker = new FakeWorker();
  const gateway = new Gateway();

  beforeAll(async () => {
    const fleet = { autoScalingGroup: "g", publishesUtilization: false, trustedProxies: ["127.0.0.0/25"] };
    await gateway.start([await worker.start()], fleet);
    writeFileSync(join(gateway.keys, "loaded"), "");
    gateway.honour(KEY);
  });
  afterAll(async () => {
    await gateway.stop();
    await worker.stop();
  });

  /** As the load balancer passes it on: the address it saw comes last. */
  const from = (...forwarded: string[]) => ({ headers: [`X-Forwarded-For: ${forwarded.join(", ")}`] });
  const wrong = { key: "wrong" };

  it("limits unauthenticated requests by the address that the load balancer saw, whatever they wrote before it", async () => {
    const flood = await Promise.all(
      Array.from({ length: 300 }, (_, index) =>
        gateway.send("GET /v1/models", { ...wrong, ...from(`198.51.100.${index % 200}`, "203.0.113.1") }),
      ),
    );
    expect(flood.filter(({ status }) => status === 429).length).toBeGreaterThan(100);
    // Another client through the same load balancer, even one that an unauthenticated request names.
    expect((await gateway.send("GET /v1/models", { ...wrong, ...from("203.0.113.2") })).status).toBe(401);
    expect((await gateway.send("GET /v1/models", { ...wrong, ...from("198.51.100.1") })).status).toBe(401);
  });

  it("logs the client's address", async () => {
    await gateway.send("GET /v1/models", from("10.1.1.1", "203.0.113.7"));
    await expect.poll(() => gateway.log.at(-1)?.remote).toBe("203.0.113.7");
  });

  it("believes nobody else: whoever comes past the load balancer is who it is", async () => {
    await gateway.send("GET /v1/models", { ...from("203.0.113.8"), address: "127.0.0.200" });
    await expect.poll(() => gateway.log.at(-1)?.remote).toBe("127.0.0.200");
  });
});
