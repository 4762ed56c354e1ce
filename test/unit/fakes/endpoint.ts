import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer, type Server } from "node:https";
import type { Socket } from "node:net";
import { close, listen } from "../../loopback";
import type { Certificates } from "./certificates";
import type { Fault } from "./faults";
import { CONTEXT_LENGTH, FakeModel, MODEL, openAiError } from "./model";

export type { Fault } from "./faults";
export { DIMENSIONS, MODEL } from "./model";

/** Every such connection is to the worker that differs. */
const CONNECTIONS_PER_WORKER = 4;

/** Behaves like the real endpoint, over real TLS, apart from its faults. */
export class FakeEndpoint {
  /** Number of requests with the key that are still refused, as immediately after a rotation. */
  refusals = 0;
  /** In tokens. */
  contextLength = CONTEXT_LENGTH;
  /** Of a request with so many characters. */
  delayMs: (characters: number) => number = () => 0;
  /** Requests that arrived. */
  requests = 0;
  /** The first call is the wait for readiness, which sends no key either. */
  #healthCalls = 0;
  /** Connections that began with texts. A proxy in front of workers would send each of them to the next worker. */
  #begunWithTexts = 0;
  /** By connection: whether its worker differs. */
  readonly #differs = new WeakMap<Socket, boolean>();
  readonly #faults: Set<Fault>;
  readonly #model = new FakeModel(
    (fault) => this.#has(fault),
    () => this.contextLength,
  );
  readonly #server: Server;

  constructor(
    certificates: Certificates,
    private readonly key: string,
    faults: readonly Fault[] = [],
  ) {
    this.#faults = new Set(faults);
    this.#server = createServer(
      { cert: certificates.certificate, key: certificates.key },
      (request, reply) => {
        this.requests += 1;
        let text = "";
        request.setEncoding("utf8").on("data", (part) => {
          text += part;
        });
        request.on("end", () =>
          setTimeout(() => this.#answer(request, text, reply), this.delayMs(text.length)),
        );
      },
    );
  }

  async listen(): Promise<string> {
    return `https://127.0.0.1:${await listen(this.#server)}/v1`;
  }

  close(): Promise<void> {
    return close(this.#server);
  }

  #has(fault: Fault): boolean {
    return this.#faults.has(fault);
  }

  #answer(request: IncomingMessage, text: string, reply: ServerResponse): void {
    const { method = "", url = "" } = request;
    const route = { "/v1/embeddings": "POST", "/v1/models": "GET", "/health": "GET" }[url];
    if (route === undefined) {
      this.#notFound(url, reply);
    } else if (method !== route && !(this.#has("get embeddings served") && url === "/v1/embeddings")) {
      send(reply, 405, openAiError("method not allowed"), this.#has("no allow") ? {} : { allow: route });
    } else if (url === "/health") {
      this.#health(request, reply);
    } else if (this.#admits(request, reply)) {
      if (url === "/v1/models") {
        send(reply, 200, this.#model.list());
      } else {
        const sent = text === "" ? { model: MODEL } : JSON.parse(text);
        const { status, body } = this.#model.answer(sent, this.#otherWorker(request));
        send(reply, status, body);
      }
    }
    // Such as a connection that began with /health.
    this.#differs.set(request.socket, this.#differs.get(request.socket) ?? false);
  }

  #otherWorker({ socket }: IncomingMessage): boolean {
    if (!this.#has("one worker differs")) {
      return false;
    }
    if (!this.#differs.has(socket)) {
      this.#begunWithTexts += 1;
      this.#differs.set(socket, this.#begunWithTexts % CONNECTIONS_PER_WORKER === 0);
    }
    return this.#differs.get(socket) ?? false;
  }

  #notFound(url: string, reply: ServerResponse): void {
    if (this.#has("server_info open") && url === "/server_info") {
      send(reply, 200, { launch_command: "sglang", api_key: this.key });
    } else if (this.#has("404 as html")) {
      reply.writeHead(404, { "content-type": "text/html" }).end("<h1>404 Not Found</h1>");
    } else {
      send(reply, this.#has("405 instead of 404") ? 405 : 404, openAiError("not found"));
    }
  }

  #health(request: IncomingMessage, reply: ServerResponse): void {
    if (this.#has("starting")) {
      send(reply, 503, { status: "starting" });
    } else if (this.#has("health broken")) {
      send(reply, 502, { status: "bad gateway" });
    } else if (this.#has("health needs a key") && this.#healthCalls++ > 0 && !request.headers.authorization) {
      send(reply, 401, openAiError("no key"));
    } else {
      send(reply, 200, { status: "ready" });
    }
  }

  #admits({ headers, url }: IncomingMessage, reply: ServerResponse): boolean {
    const { authorization } = headers;
    if (authorization === undefined) {
      if (
        this.#has("open without a key") ||
        (this.#has("open models without a key") && url === "/v1/models")
      ) {
        return true;
      }
      this.#refuse(reply, this.#has("missing key is an error") ? ', error="invalid_token"' : "", null);
      return false;
    }
    if (authorization === `Bearer ${this.key}`) {
      if (this.#has("echoes authorization") && url === "/v1/embeddings") {
        send(reply, 500, openAiError(`cannot handle ${authorization}`));
        return false;
      }
      if (!this.#has("right key refused") && this.refusals-- <= 0) {
        return true;
      }
    } else if (this.#admitsWrong(authorization.replace("Bearer ", ""))) {
      return true;
    } else if (this.#has("500 on a token outside ascii") && /[^ -~]/.test(authorization)) {
      send(reply, 500, openAiError("internal error"));
      return false;
    }
    if (this.#has("400 on a token outside ascii") && /[^ -~]/.test(authorization)) {
      reply.writeHead(400, { "content-type": "text/html" }).end("<h1>400 Bad Request</h1>");
      return false;
    }
    const error = this.#has("wrong key without error") ? "" : ', error="invalid_token"';
    const message = this.#has("echoes authorization") ? `no valid key: ${authorization}` : "no valid key";
    this.#refuse(reply, error, this.#has("wrong key without code") ? null : "invalid_api_key", message);
    return false;
  }

  #admitsWrong(sent: string): boolean {
    const { key } = this;
    return (
      this.#has("open with any key") ||
      (this.#has("open with a key that begins like the right one") && sent.startsWith(key.slice(0, 8))) ||
      (this.#has("open with a key that has the right length") && sent.length === key.length) ||
      (this.#has("last character of a key ignored") && sent.slice(0, -1) === key.slice(0, -1)) ||
      (this.#has("case of a key ignored") && sent.toLowerCase() === key.toLowerCase()) ||
      (this.#has("what follows a key ignored") && sent.startsWith(key))
    );
  }

  #refuse(reply: ServerResponse, error: string, code: string | null, message = "no key"): void {
    const body = this.#has("sglang 401") ? { error: "Unauthorized" } : openAiError(message, code);
    const challenge = { "www-authenticate": `Bearer realm="qwen3-embedding"${error}` };
    send(reply, 401, body, this.#has("no challenge") ? {} : challenge);
  }
}

function send(
  reply: ServerResponse,
  status: number,
  body: object,
  headers: Record<string, string> = {},
): void {
  reply.writeHead(status, { "content-type": "application/json", ...headers }).end(JSON.stringify(body));
}
