import { statSync } from "node:fs";
import { connect as connectHttp2, type OutgoingHttpHeaders } from "node:http2";
import { connect } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { unsupported } from "../../local/preflight";
import { expectError, FakeWorker, Gateway, KEY, MAX_BODY, type Reply, readReply } from "./gateway";

/** The most that docs/reference/machine.md states for the text of a line. */
const LONGEST_LINE = 420;
/** Requests of a flood, of which nginx lets a burst of 100 and 20 a second through. */
const FLOOD = 400;

/** Unauthenticated requests that nginx refuses by itself, most of them before it counts requests. */
const REFUSED: { name: string; text: string; status: number; code: string | null; plain?: true }[] = [
  { name: "no request", text: "GARBAGE\r\n\r\n", status: 400, code: null },
  { name: "no version", text: "GET /%zz HTTP/9.9\r\n\r\n", status: 400, code: null },
  { name: "two hosts", text: "GET /health HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", status: 400, code: null },
  {
    name: "a long URI",
    text: `GET /${"u".repeat(40_000)} HTTP/1.1\r\nHost: a\r\n\r\n`,
    status: 400,
    code: null,
  },
  {
    name: "a long field",
    text: `GET /health HTTP/1.1\r\nHost: a\r\nX: ${"x".repeat(40_000)}\r\n\r\n`,
    status: 400,
    code: null,
  },
  {
    name: "an unknown Transfer-Encoding",
    text: "POST /v1/embeddings HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: x\r\n\r\n",
    status: 400,
    code: null,
  },
  {
    name: "TRACE",
    text: "TRACE /health HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    status: 405,
    code: "method_not_allowed",
  },
  {
    name: "a path of nginx's own",
    text: "GET /pass/v1/models HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    status: 404,
    code: "not_found",
  },
  {
    name: "a body that is too large",
    text: `POST /v1/embeddings HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: ${MAX_BODY + 1}\r\n\r\n`,
    status: 401,
    code: null,
  },
  {
    name: "a body that is too large for a path that does not exist",
    text: `POST /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: ${MAX_BODY + 1}\r\n\r\n`,
    status: 404,
    code: "not_found",
  },
  {
    name: "plain HTTP",
    text: "GET /health HTTP/1.1\r\nHost: a\r\n\r\n",
    status: 400,
    code: null,
    plain: true,
  },
];

const STREAMS: { name: string; headers: OutgoingHttpHeaders; status: number }[] = [
  {
    name: "a body that is too large",
    headers: { ":method": "POST", ":path": "/v1/embeddings", "content-length": String(MAX_BODY + 1) },
    status: 401,
  },
  {
    name: "a body that is too large for a path that does not exist",
    headers: { ":method": "POST", ":path": "/x", "content-length": String(MAX_BODY + 1) },
    status: 404,
  },
  { name: "TRACE", headers: { ":method": "TRACE", ":path": "/health" }, status: 405 },
  { name: "a path of nginx's own", headers: { ":path": "/refuse/unauthorized" }, status: 404 },
];

describe.skipIf(unsupported() !== undefined)("the gateway's logs", () => {
  const worker = new FakeWorker();
  const gateway = new Gateway();
  let addresses = 20;
  /** One that no other test has used, for the limit by address. */
  const newAddress = () => {
    addresses += 1;
    return `127.0.0.${addresses}`;
  };

  beforeAll(async () => {
    await gateway.start([await worker.start()]);
    gateway.accept(KEY);
  });
  afterAll(async () => {
    await gateway.stop();
    await worker.stop();
  });
  beforeEach(() => {
    worker.behave = "answer";
  });

  const sent = (text: string, address: string, plain = false): Promise<Reply> => {
    const socket = plain
      ? connect({ host: "127.0.0.1", port: gateway.port, localAddress: address })
      : gateway.connect(address);
    socket.write(text);
    return readReply(socket);
  };

  /** Expects that most of a flood was refused by the limit, and that the log has a sample of it. */
  const expectLimited = async (statuses: number[], status: number, before: number) => {
    const count = (value: number) => statuses.filter((each) => each === value).length;
    expect(count(status) + count(429), JSON.stringify(statuses.slice(0, 5))).toBe(FLOOD);
    expect(count(429)).toBeGreaterThan(FLOOD / 2);
    await sleep(100);
    const lines = gateway.lines("unauthenticated").slice(before);
    expect(lines.filter((line) => line.status === 429).length).toBeLessThan(FLOOD / 10);
    expect(lines.length).toBeLessThanOrEqual(count(status) + FLOOD / 10);
  };

  it.each(REFUSED)("$name: $status in OpenAI's format, limited and sampled", async (refused) => {
    const address = newAddress();
    const before = gateway.lines("unauthenticated").length;
    const replies: Reply[] = [];
    for (let part = 0; part < FLOOD; part += 100) {
      const burst = Array.from({ length: 100 }, () => sent(refused.text, address, refused.plain));
      replies.push(...(await Promise.all(burst)));
    }
    expectError(replies[0]!, refused);
    const limited = replies.find(({ status }) => status === 429)!;
    expectError(limited, { status: 429, code: "rate_limit_exceeded" });
    expect(limited.headers["retry-after"]).toBe("1");
    await expectLimited(
      replies.map(({ status }) => status),
      refused.status,
      before,
    );
  });

  it.each(STREAMS)("$name over HTTP/2: $status, limited and sampled", async ({ headers, status }) => {
    const address = newAddress();
    const before = gateway.lines("unauthenticated").length;
    const statuses: number[] = [];
    for (let part = 0; part < FLOOD; part += 100) {
      // nginx allows 128 streams at a time.
      const session = connectHttp2("https://gateway", {
        createConnection: () => gateway.connect(address, "h2"),
      });
      const streams = Array.from({ length: 100 }, () => {
        const stream = session.request(headers, { endStream: false });
        return new Promise<number>((done) => {
          stream.on("response", (fields) => done(fields[":status"] ?? 0));
          stream.on("error", () => done(0));
          stream.on("close", () => done(0));
        });
      });
      statuses.push(...(await Promise.all(streams)));
      session.destroy();
    }
    await expectLimited(statuses, status, before);
  });

  it("does not log connections that are no TLS", async () => {
    const before = statSync(join(gateway.folder, "error.log")).size;
    // A ClientHello without its end, and with a length that cannot be.
    const hello = Buffer.from("16030100050100000101ff", "hex");
    await Promise.all(
      Array.from({ length: 300 }, () => {
        const socket = connect(gateway.port, "127.0.0.1");
        socket.write(hello);
        return readReply(socket);
      }),
    );
    expect(statSync(join(gateway.folder, "error.log")).size).toBe(before);
  });

  it("logs nothing that a client has sent, whatever happens to the request", async () => {
    const secret = "qwen3_SENTINEL0123456789";
    const fields = [
      `Referer: https://${secret}/`,
      `User-Agent: ${secret}`,
      `${secret}: x`,
      `Cookie: a=${secret}`,
    ];
    const everywhere = { headers: [...fields, `Host: ${secret}`] };
    for (const behave of ["answer", "reset"] as const) {
      worker.behave = behave;
      for (const key of [KEY, secret, null]) {
        await gateway.send(`POST /v1/embeddings?key=${secret}`, {
          key,
          headers: fields,
          body: `{"${secret}":1}`,
        });
        await gateway.send(`GET /v1/models?${secret}`, { key, headers: fields });
        await gateway.send(`GET /${secret}`, { key, headers: fields });
        await gateway.send(`GET https://${secret}/v1/models`, { key, headers: fields });
        await gateway.send(`${secret} /v1/models`, { key, headers: fields });
        await gateway.send("GET /v1/models", { key, ...everywhere });
        await gateway.send("POST /v1/embeddings", {
          key,
          headers: [...fields, `Transfer-Encoding: ${secret}`],
        });
        await gateway.send("POST /v1/embeddings", {
          key,
          headers: [...fields, `Content-Length: ${2 * MAX_BODY}`],
        });
        await gateway.send("GET /v1/models", { key, headers: [`X-${secret}: ${"x".repeat(40_000)}`] });
      }
    }
    await worker.stop();
    await gateway.send(`POST /v1/embeddings?key=${secret}`, { headers: fields, body: "{}" });
    await worker.start(worker.port);
    await sent(`${secret}\r\n\r\n`, "127.0.0.1");
    await sent(`GET /${secret} HTTP/1.1\r\n${secret}\r\n\r\n`, "127.0.0.1", true);
    await sleep(100);
    for (const log of ["authenticated", "unauthenticated", "error"] as const) {
      expect(gateway.text(log)).not.toMatch(/SENTINEL/);
      expect(gateway.text(log)).not.toContain(KEY);
    }
    expect(gateway.text("error")).toBe("");
    expect(gateway.lines("authenticated").length).toBeGreaterThan(10);
  });

  it("logs the fields that docs/reference/machine.md lists, for clients and all others separately", async () => {
    const earlier = gateway.lines("authenticated").length;
    await gateway.send("POST /v1/embeddings?x=1", { body: '{"input":"private"}' });
    await expect.poll(() => gateway.lines("authenticated").slice(earlier)).toHaveLength(1);
    expect(gateway.lines("authenticated").at(-1)).toEqual({
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT/),
      request_id: expect.stringMatching(/^[0-9a-f]{32}$/),
      client: "default",
      remote: "127.0.0.1",
      method: "POST",
      path: "/v1/embeddings",
      status: 200,
      weight: 1,
      bytes_in: expect.any(Number),
      bytes_out: expect.any(Number),
      seconds: expect.any(Number),
      worker: expect.stringMatching(/^127\.0\.0\.1:\d+$/),
      worker_seconds: expect.stringMatching(/^\d+\.\d+$/),
    });
    const before = gateway.lines("unauthenticated").length;
    await gateway.send("PUT /x", { key: null, address: newAddress() });
    await expect
      .poll(() => gateway.lines("unauthenticated").slice(before))
      .toMatchObject([{ client: "", method: "PUT", path: "other", status: 404, weight: 1 }]);
    expect(gateway.lines("unauthenticated").every(({ client }) => client === "")).toBe(true);
    expect(gateway.lines("authenticated").every(({ client }) => client === "default")).toBe(true);
    for (const log of ["authenticated", "unauthenticated"] as const) {
      expect(
        Math.max(
          ...gateway
            .text(log)
            .split("\n")
            .map((text) => text.length),
        ),
      ).toBeLessThan(LONGEST_LINE);
    }
  });

  it("logs the method that was sent, also of a request that nginx has refused", async () => {
    const before = gateway.lines("authenticated").length;
    await gateway.send("POST /v1/embeddings", { headers: ["Transfer-Encoding: x"] });
    await gateway.send("POST /v1/embeddings", { headers: [`Content-Length: ${MAX_BODY + 1}`] });
    await gateway.send("PROPFIND /v1/models");
    await expect
      .poll(() =>
        gateway
          .lines("authenticated")
          .slice(before)
          .map(({ method, status }) => [method, status]),
      )
      .toEqual([
        ["POST", 400],
        ["POST", 413],
        ["other", 405],
      ]);
  });
});
