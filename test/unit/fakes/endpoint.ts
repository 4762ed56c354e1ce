import { createHash } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import type { Certificates } from "./certificates";

export const MODEL = "Qwen3-Embedding-4B";
export const DIMENSIONS = 2560;

/** One error that a deployed endpoint could have. */
export type Fault =
  | "starting"
  | "health broken"
  | "health needs a key"
  | "open without a key"
  | "open models without a key"
  | "open with any key"
  | "sglang 401"
  | "no challenge"
  | "missing key is an error"
  | "wrong key without error"
  | "wrong key without code"
  | "500 on a token outside ascii"
  | "400 on a token outside ascii"
  | "right key refused"
  | "echoes authorization"
  | "fewer dimensions"
  | "unnormalized"
  | "model is a path"
  | "items out of order"
  | "dimensions ignored"
  | "dimensions unnormalized"
  | "dimensions not a prefix"
  | "big-endian base64"
  | "base64 ignored"
  | "float ignored"
  | "instruction ignored"
  | "instruction with a space"
  | "model not listed"
  | "server_info open"
  | "405 instead of 404"
  | "404 as html"
  | "get embeddings served"
  | "no allow"
  | "card's similarities off";

/** Behaves like the real endpoint, over real TLS, with one fault at a time. */
export class FakeEndpoint {
  /** Number of requests with the key that are still refused, as immediately after a rotation. */
  refusals = 0;
  /** The first call is the wait for readiness, which sends no key either. */
  #healthCalls = 0;
  readonly #server: Server;

  constructor(
    certificates: Certificates,
    private readonly key: string,
    private readonly fault?: Fault,
  ) {
    this.#server = createServer(
      { cert: certificates.certificate, key: certificates.key },
      (request, reply) => {
        let text = "";
        request.setEncoding("utf8").on("data", (part) => {
          text += part;
        });
        request.on("end", () => this.#answer(request, text, reply));
      },
    );
  }

  async listen(): Promise<string> {
    await new Promise<void>((done) => this.#server.listen(0, "127.0.0.1", done));
    return `https://127.0.0.1:${(this.#server.address() as AddressInfo).port}/v1`;
  }

  close(): Promise<void> {
    this.#server.closeAllConnections();
    return new Promise((done) => this.#server.close(() => done()));
  }

  #is(fault: Fault): boolean {
    return this.fault === fault;
  }

  #answer(request: IncomingMessage, text: string, reply: ServerResponse): void {
    const { method = "", url = "" } = request;
    const route = { "/v1/embeddings": "POST", "/v1/models": "GET", "/health": "GET" }[url];
    if (route === undefined) {
      this.#notFound(url, reply);
    } else if (method !== route && !(this.#is("get embeddings served") && url === "/v1/embeddings")) {
      send(reply, 405, openAiError("method not allowed"), this.#is("no allow") ? {} : { allow: route });
    } else if (url === "/health") {
      this.#health(request, reply);
    } else if (this.#admits(request, reply)) {
      if (url === "/v1/models") {
        const id = this.#is("model not listed") ? "/var/lib/qwen3/models/1" : MODEL;
        send(reply, 200, { object: "list", data: [{ id, object: "model" }] });
      } else {
        send(reply, 200, this.#embeddings(JSON.parse(text || "{}")));
      }
    }
  }

  #notFound(url: string, reply: ServerResponse): void {
    if (this.#is("server_info open") && url === "/server_info") {
      send(reply, 200, { launch_command: "sglang", api_key: this.key });
    } else if (this.#is("404 as html")) {
      reply.writeHead(404, { "content-type": "text/html" }).end("<h1>404 Not Found</h1>");
    } else {
      send(reply, this.#is("405 instead of 404") ? 405 : 404, openAiError("not found"));
    }
  }

  #health(request: IncomingMessage, reply: ServerResponse): void {
    if (this.#is("starting")) {
      send(reply, 503, { status: "starting" });
    } else if (this.#is("health broken")) {
      send(reply, 502, { status: "bad gateway" });
    } else if (this.#is("health needs a key") && this.#healthCalls++ > 0 && !request.headers.authorization) {
      send(reply, 401, openAiError("no key"));
    } else {
      send(reply, 200, { status: "ready" });
    }
  }

  #admits({ headers, url }: IncomingMessage, reply: ServerResponse): boolean {
    const { authorization } = headers;
    if (authorization === undefined) {
      if (this.#is("open without a key") || (this.#is("open models without a key") && url === "/v1/models")) {
        return true;
      }
      this.#refuse(reply, this.#is("missing key is an error") ? ', error="invalid_token"' : "", null);
      return false;
    }
    if (authorization === `Bearer ${this.key}`) {
      if (this.#is("echoes authorization") && url === "/v1/embeddings") {
        send(reply, 500, openAiError(`cannot handle ${authorization}`));
        return false;
      }
      if (!this.#is("right key refused") && this.refusals-- <= 0) {
        return true;
      }
    } else if (this.#is("open with any key")) {
      return true;
    } else if (this.#is("500 on a token outside ascii") && /[^ -~]/.test(authorization)) {
      send(reply, 500, openAiError("internal error"));
      return false;
    }
    if (this.#is("400 on a token outside ascii") && /[^ -~]/.test(authorization)) {
      reply.writeHead(400, { "content-type": "text/html" }).end("<h1>400 Bad Request</h1>");
      return false;
    }
    const error = this.#is("wrong key without error") ? "" : ', error="invalid_token"';
    this.#refuse(reply, error, this.#is("wrong key without code") ? null : "invalid_api_key");
    return false;
  }

  #refuse(reply: ServerResponse, error: string, code: string | null): void {
    const body = this.#is("sglang 401") ? { error: "Unauthorized" } : openAiError("no valid key", code);
    const challenge = { "www-authenticate": `Bearer realm="qwen3-embedding"${error}` };
    send(reply, 401, body, this.#is("no challenge") ? {} : challenge);
  }

  #embeddings(request: Record<string, unknown>): object {
    const inputs = [request.input ?? ""].flat() as string[];
    const data = inputs.map((input, index) => {
      const vector = this.#shorten(embedding(this.#prompt(input, request.instruction)), request.dimensions);
      return { object: "embedding", index, embedding: this.#encode(vector, request.encoding_format) };
    });
    if (this.#is("items out of order")) {
      data.reverse();
    }
    const tokens = inputs.reduce((sum, input) => sum + String(input).length + 1, 0);
    return {
      object: "list",
      model: this.#is("model is a path") ? "/var/lib/qwen3/models/1" : MODEL,
      data,
      usage: { prompt_tokens: tokens, total_tokens: tokens },
    };
  }

  #prompt(input: string, instruction: unknown): string {
    if (this.#is("card's similarities off") && input.startsWith("Gravity")) {
      return input.slice(0, -1);
    }
    if (typeof instruction !== "string" || this.#is("instruction ignored")) {
      return input;
    }
    const space = this.#is("instruction with a space") ? " " : "";
    return `Instruct: ${instruction}\nQuery:${space}${input}`;
  }

  #shorten(vector: number[], dimensions: unknown): number[] {
    if (this.#is("unnormalized")) {
      return vector.map((value) => 2 * value);
    }
    if (this.#is("fewer dimensions")) {
      return unit(vector.slice(0, 1024));
    }
    if (typeof dimensions !== "number" || this.#is("dimensions ignored")) {
      return vector;
    }
    if (this.#is("dimensions unnormalized")) {
      return vector.slice(0, dimensions);
    }
    return unit(
      this.#is("dimensions not a prefix") ? vector.slice(-dimensions) : vector.slice(0, dimensions),
    );
  }

  #encode(vector: number[], format: unknown): number[] | string {
    if (format === "base64" ? this.#is("base64 ignored") : !this.#is("float ignored")) {
      return vector;
    }
    const bytes = Buffer.from(Float32Array.from(vector).buffer);
    return (this.#is("big-endian base64") ? bytes.swap32() : bytes).toString("base64");
  }
}

/** By text. The first components of the model card's four texts give exactly its similarities. */
function embedding(text: string): number[] {
  const card: [RegExp, number[]][] = [
    [/^Instruct: .*\nQuery:What is the capital of China\?$/, [0.7534, 0.1147]],
    [/^Instruct: .*\nQuery:Explain gravity$/, [0.032, 0.6258]],
    [/^The capital of China is Beijing\.$/, [1, 0]],
    [/^Gravity is a force.*sun\.$/, [0, 1]],
  ];
  const start = card.find(([pattern]) => pattern.test(text))?.[1] ?? [0, 0];
  const rest = Math.sqrt(Math.max(0, 1 - start[0]! ** 2 - start[1]! ** 2));
  return [...start, ...noise(text, DIMENSIONS - 2).map((value) => rest * value)];
}

/** A unit vector that depends only on the text. */
function noise(text: string, length: number): number[] {
  let state = createHash("sha256").update(text).digest().readUInt32LE();
  return unit(
    Array.from({ length }, () => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      return state / 2 ** 31 - 1;
    }),
  );
}

function unit(vector: number[]): number[] {
  const length = Math.hypot(...vector);
  return vector.map((value) => value / length);
}

function openAiError(message: string, code: string | null = null): object {
  return { error: { message, type: "invalid_request_error", param: null, code } };
}

function send(
  reply: ServerResponse,
  status: number,
  body: object,
  headers: Record<string, string> = {},
): void {
  reply.writeHead(status, { "content-type": "application/json", ...headers }).end(JSON.stringify(body));
}
