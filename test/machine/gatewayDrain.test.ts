import { once } from "node:events";
import { connect as connectHttp2 } from "node:http2";
import type { TLSSocket } from "node:tls";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { unsupported } from "../../local/preflight";
import { FakeWorker, Gateway, KEY, readReply } from "./gateway";

const REQUEST = `GET /v1/models HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer ${KEY}\r\n\r\n`;

describe.skipIf(unsupported() !== undefined)("a gateway that completes its requests", () => {
  const worker = new FakeWorker();
  const gateway = new Gateway();

  beforeAll(async () => {
    await gateway.start([await worker.start()]);
    gateway.accept(KEY);
  });
  afterEach(async () => {
    worker.behave = "answer";
    await gateway.drain(false);
  });
  afterAll(async () => {
    await gateway.stop();
    await worker.stop();
  });

  /** A connection that has received one response and waits for the next request. */
  async function idle(): Promise<TLSSocket> {
    const socket = gateway.connect();
    socket.write(REQUEST);
    const [response] = (await once(socket, "data")) as [Buffer];
    expect(response.toString()).toMatch(/^HTTP\/1.1 200[\s\S]*connection: keep-alive/i);
    return socket;
  }

  function session() {
    const opened = connectHttp2("https://gateway", {
      createConnection: () => gateway.connect("127.0.0.1", "h2"),
    });
    opened.on("error", () => undefined);
    return opened;
  }

  async function status(opened: ReturnType<typeof session>): Promise<number> {
    const stream = opened.request({ ":path": "/v1/models", authorization: `Bearer ${KEY}` });
    const [headers] = await once(stream, "response");
    stream.resume();
    return headers[":status"] as number;
  }

  it("closes idle connections, and accepts new ones, each for one request", async () => {
    const socket = await idle();
    const closed = once(socket.resume(), "end");
    await gateway.drain(true);
    await closed;
    const next = gateway.connect();
    next.write(REQUEST);
    expect((await once(next, "data")).toString()).toMatch(/^HTTP\/1.1 200[\s\S]*connection: close/i);
    await once(next.resume(), "end");
  });

  it("completes a request that was sent before", async () => {
    worker.behave = "answer late";
    const socket = gateway.connect();
    socket.write(REQUEST);
    await expect.poll(() => worker.seen.length).toBeGreaterThan(0);
    const reply = readReply(socket);
    await gateway.drain(true);
    expect((await reply).status).toBe(200);
  });

  it("tells HTTP/2 clients to open another connection, and completes their requests", async () => {
    const before = session();
    expect(await status(before)).toBe(200);
    worker.behave = "answer late";
    const late = status(before);
    const away = once(before, "goaway");
    await gateway.drain(true);
    expect(await late).toBe(200);
    await away;

    worker.behave = "answer";
    const next = session();
    const told = once(next, "goaway");
    expect(await status(next)).toBe(200);
    await told;
    await once(next, "close");
  });

  it("keeps connections open again afterwards", async () => {
    await gateway.drain(true);
    await gateway.drain(false);
    const socket = await idle();
    socket.write(REQUEST);
    expect((await once(socket, "data")).toString()).toMatch(/^HTTP\/1.1 200/);
    socket.destroy();
    await gateway.drain(true);
  });
});
