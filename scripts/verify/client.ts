import { Agent, type Dispatcher } from "undici";
import { excerpt } from "../lib/text";
import { expect } from "./row";
import { decodeBase64 } from "./vectors";

export interface Call {
  method: "GET" | "POST" | "PUT" | "DELETE";
  /** Sent unchanged, without resolving dots. */
  path: string;
  body?: unknown;
  /**
   * `"key"` sends the client's own key, and a function a key made from it; any other value is sent unchanged. No header
   * by default.
   */
  authorization?: string | ((key: string) => string);
  /** Closes the connection after the reply, so that the next request needs another one. */
  lastOnConnection?: boolean;
}

export interface Reply {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  text: string;
  /** Undefined if the text is not JSON. */
  json: unknown;
}

/** OpenAI's error object. */
export interface ApiError {
  message: string;
  type: string;
  param: string | null;
  code: string | null;
}

interface EmbeddingList {
  object: string;
  model: string;
  data: { index: number; embedding: number[] | string }[];
  usage?: Usage;
}

export interface Usage {
  prompt_tokens: number;
  total_tokens: number;
}

/** A complete embedding list. */
export interface Embeddings {
  /** One per input, in order. */
  vectors: number[][];
  model: string;
  /** Whether the vectors were base64. */
  base64: boolean;
  /** As in the reply, without a check. */
  usage: Usage | undefined;
}

/** HTTPS to the endpoint, trusting either the CAs of the stack or the public CAs. */
export class EndpointClient {
  readonly origin: string;
  readonly #key: string;
  readonly #agent: Agent;

  /**
   * @param endpoint base URL, `https://HOST/v1`
   * @param ca PEM of one or more CAs; undefined or empty for the public CAs
   */
  constructor(endpoint: string, ca: string | readonly string[] | undefined, key: string) {
    this.origin = new URL(endpoint).origin;
    this.#key = key;
    this.#agent = new Agent({
      allowH2: false,
      headersTimeout: 120_000,
      bodyTimeout: 120_000,
      // Set explicitly, because NODE_TLS_REJECT_UNAUTHORIZED=0 would otherwise make every check of TLS pass.
      connect: {
        ca: typeof ca === "string" ? ca || undefined : ca && [...ca],
        rejectUnauthorized: true,
        timeout: 10_000,
      },
    });
  }

  async send({ method, path, body, authorization, lastOnConnection = false }: Call): Promise<Reply> {
    const options: Dispatcher.RequestOptions = {
      origin: this.origin,
      method,
      path,
      headers: {
        ...(body !== undefined && { "content-type": "application/json" }),
        ...(authorization !== undefined && { authorization: this.#header(authorization) }),
      },
      reset: lastOnConnection,
      body: body === undefined ? undefined : JSON.stringify(body),
    };
    const reply = await this.#agent.request(options);
    const text = await reply.body.text();
    return { status: reply.statusCode, headers: reply.headers, text, json: parse(text) };
  }

  /**
   * Embeds with the client's key.
   *
   * @throws Error if the reply is not a complete embedding list
   */
  async embed(body: object, options: Pick<Call, "lastOnConnection"> = {}): Promise<Embeddings> {
    const reply = await this.send({
      method: "POST",
      path: "/v1/embeddings",
      authorization: "key",
      body,
      ...options,
    });
    expect(reply.status === 200, `${reply.status}: ${excerpt(reply.text)}`);
    const list = reply.json as EmbeddingList | undefined;
    expect(Array.isArray(list?.data) && list.object === "list", `200 without a list: ${excerpt(reply.text)}`);
    expect(
      list.data.every((item, i) => item.index === i),
      "the items of the response are out of order",
    );
    const vectors = list.data.map(({ embedding }) =>
      typeof embedding === "string" ? decodeBase64(embedding) : embedding,
    );
    const base64 = list.data.every(({ embedding }) => typeof embedding === "string");
    return { vectors, model: list.model, base64, usage: list.usage };
  }

  /** Closes every connection. */
  close(): Promise<void> {
    return this.#agent.destroy();
  }

  #header(authorization: NonNullable<Call["authorization"]>): string {
    if (typeof authorization === "function") {
      return `Bearer ${authorization(this.#key)}`;
    }
    return authorization === "key" ? `Bearer ${this.#key}` : authorization;
  }
}

/** The error of a reply in OpenAI's format. @throws Error if it has another format. */
export function apiError(reply: Reply): ApiError {
  const error = (reply.json as { error?: ApiError } | undefined)?.error;
  const whole =
    typeof error?.message === "string" &&
    typeof error.type === "string" &&
    isTextOrNull(error.param) &&
    isTextOrNull(error.code);
  expect(whole, `${reply.status} without OpenAI's error object: ${excerpt(reply.text)}`);
  return error;
}

function isTextOrNull(value: unknown): boolean {
  return value === null || typeof value === "string";
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
