import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type IncomingMessage, type Server } from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { connect as connectTls, type TLSSocket } from "node:tls";
import { expect } from "vitest";
import { DRAIN_CONFIGURATION } from "../../components/bundle/contract";
import type { FleetMembership } from "../../components/bundle/instanceConfig";
import { digestPath, drainPath, gatewayKeys, prepareGateway, writeDigests } from "../../local/gateway";
import { freePort } from "../freePort";

export const MAX_BODY = 1_000_000;
/** Of a worker that answers late. */
export const LATE_MS = 2000;
export const KEY = "qwe3_".padEnd(54, "k");

export interface Reply {
  status: number;
  headers: Record<string, string>;
  text: string;
}

/** A worker that records its requests and responds according to `behave`. */
export class FakeWorker {
  readonly seen: IncomingMessage[] = [];
  behave: "answer" | "reset" | "hang" | "answer late" = "answer";
  port = 0;
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
        } else if (this.behave !== "hang") {
          const answer = () =>
            reply.setHeader("content-type", "application/json").end(JSON.stringify({ size }));
          setTimeout(answer, this.behave === "answer late" ? LATE_MS : 0);
        }
      });
    });
    this.#server = server;
    await new Promise<void>((done) => server.listen(port, "127.0.0.1", done));
    this.port = (server.address() as AddressInfo).port;
    return this.port;
  }

  async stop(): Promise<void> {
    this.#server?.closeAllConnections();
    await new Promise((done) => this.#server?.close(done));
  }
}

/** An instance's nginx on loopback, and a client for it. */
export class Gateway {
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

  /** What nginx has logged so far about requests with a valid key, about all others, and about itself. */
  text(log: "authenticated" | "unauthenticated" | "error"): string {
    return readFileSync(join(this.folder, `${log}.log`), "utf8");
  }

  /** Lines of an access log so far. */
  lines(log: "authenticated" | "unauthenticated"): Record<string, unknown>[] {
    return this.text(log)
      .split("\n")
      .filter(Boolean)
      .map((line) => JSON.parse(line));
  }

  accept(key: string, notAfter: number | null = null): void {
    writeDigests(this.keys, { [key]: { client: "default", notAfter } });
  }

  /** Writes a digest's file, complete or not. */
  write(key: string, text: string): void {
    writeFileSync(digestPath(this.keys, key), text);
  }

  /** Begins or ends a drain as qwen3-drain does, and waits until new connections meet the new configuration. */
  async drain(begin: boolean): Promise<void> {
    if (begin) {
      writeFileSync(drainPath(this.folder), DRAIN_CONFIGURATION);
    } else {
      rmSync(drainPath(this.folder));
    }
    this.#process?.kill("SIGHUP");
    await expect.poll(() => this.closesConnections(), { timeout: 10_000 }).toBe(begin);
  }

  /** Whether a response closes its connection although the client would keep it. */
  async closesConnections(): Promise<boolean> {
    const socket = this.connect();
    socket.write("GET /health HTTP/1.1\r\nHost: gateway\r\n\r\n");
    return (await readReply(socket)).headers.connection === "close";
  }

  async stop(): Promise<void> {
    if (this.#process?.kill("SIGTERM")) {
      await once(this.#process, "exit");
    }
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** Sends a request line with the usual headers over TLS, byte by byte as given, and reads the response. */
  async send(
    line: string,
    {
      key = KEY as string | null,
      headers = [] as string[],
      body = "" as string | Buffer,
      address = "127.0.0.1",
    } = {},
  ): Promise<Reply> {
    const socket = this.connect(address);
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

  /** A TLS connection from an address of this computer. */
  connect(address = "127.0.0.1", protocol: "http/1.1" | "h2" = "http/1.1"): TLSSocket {
    // TLS over a separate socket, because only the socket can select the source address.
    const socket = connect({ host: "127.0.0.1", port: this.port, localAddress: address });
    return connectTls({ socket, rejectUnauthorized: false, ALPNProtocols: [protocol] });
  }
}

export async function readReply(socket: Socket): Promise<Reply> {
  const chunks: Buffer[] = [];
  socket.on("data", (chunk) => {
    chunks.push(chunk);
    if (isWhole(Buffer.concat(chunks).toString())) {
      // nginx waits for the rest of a body that it does not read.
      socket.destroy();
    }
  });
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

function isWhole(text: string): boolean {
  const [head = "", body] = text.split(/\r\n\r\n(.*)/s);
  const length = /^content-length: (\d+)$/im.exec(head)?.[1];
  return body !== undefined && length !== undefined && Buffer.byteLength(body) >= Number(length);
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

export function expectError(reply: Reply, { status, code }: { status: number; code: string | null }): void {
  expect(reply.status, reply.text).toBe(status);
  expect(reply.headers["content-type"]).toBe("application/json");
  expect(reply.headers["x-request-id"]).toMatch(/^[0-9a-f]{32}$/);
  const { error } = JSON.parse(reply.text);
  expect(error).toEqual({ message: expect.any(String), type: expect.any(String), param: null, code });
}
