import { readFileSync } from "node:fs";
import { Agent } from "undici";

/** An endpoint with OpenAI's embeddings API. */
export interface Endpoint {
  /** Its name in tables and charts. */
  name: string;
  /** Base URL, `https://HOST/v1` or, on this computer, `http://127.0.0.1:PORT/v1`. */
  url: string;
  model: string;
  /** Sent as a bearer token; no header by default. */
  key?: string;
  /** PEM of the CA to trust; the system's by default. */
  ca?: string;
}

/** Texts per request, their length, and the format of the vectors. */
export interface Shape {
  /** 1: a single string; more: a list. */
  batch: number;
  tokens: number;
  format: "float" | "base64";
}

export interface Outcome {
  /** When it was due, in milliseconds from the start of its window. */
  at: number;
  /** From the time when it was due until the last byte of the reply. */
  milliseconds: number;
  /** An HTTP status, or the code of a connection error. */
  status: number | string;
  /** `usage.prompt_tokens`. */
  tokens: number;
  /** Bytes of the reply's body. */
  bytes: number;
}

export interface Reply {
  status: number | string;
  body: Buffer;
}

const TIMEOUT_MS = 600_000;
const NEAR_END = 512;

/** Sends requests to one endpoint over persistent connections. */
export class Sender {
  readonly #agent: Agent;
  readonly #origin: string;
  readonly #path: string;
  readonly #headers: Record<string, string>;

  /** @param connections maximum at a time; further requests wait, which counts as latency */
  constructor(
    readonly endpoint: Endpoint,
    connections: number,
  ) {
    const { origin, pathname, protocol } = new URL(endpoint.url);
    this.#origin = origin;
    this.#path = `${pathname.replace(/\/$/, "")}/embeddings`;
    this.#headers = {
      "content-type": "application/json",
      ...(endpoint.key && { authorization: `Bearer ${endpoint.key}` }),
    };
    this.#agent = new Agent({
      connections,
      pipelining: 1,
      allowH2: false,
      headersTimeout: TIMEOUT_MS,
      bodyTimeout: TIMEOUT_MS,
      // Set explicitly, because NODE_TLS_REJECT_UNAUTHORIZED=0 would otherwise turn verification off.
      connect: protocol === "https:" ? { ca: endpoint.ca, rejectUnauthorized: true } : {},
    });
  }

  body(input: string, format: Shape["format"]): string {
    return `{"model":${JSON.stringify(this.endpoint.model)},"input":${input},"encoding_format":"${format}"}`;
  }

  async send(body: string): Promise<Reply> {
    try {
      const reply = await this.#agent.request({
        origin: this.#origin,
        path: this.#path,
        method: "POST",
        headers: this.#headers,
        body,
      });
      return { status: reply.statusCode, body: Buffer.from(await reply.body.arrayBuffer()) };
    } catch (error) {
      const { code, name } = error as Error & { code?: string };
      return { status: code ?? name, body: Buffer.alloc(0) };
    }
  }

  close(): Promise<void> {
    return this.#agent.destroy();
  }
}

/** `usage.prompt_tokens` of an embedding list, without parsing megabytes if `usage` is at the end. */
export function promptTokens(body: Buffer): number {
  const end = body.subarray(Math.max(0, body.length - NEAR_END)).toString("latin1");
  const found = /"prompt_tokens":\s*(\d+)/.exec(end);
  if (found) {
    return Number(found[1]);
  }
  try {
    return (JSON.parse(body.toString()) as { usage?: { prompt_tokens?: number } }).usage?.prompt_tokens ?? 0;
  } catch {
    return 0;
  }
}

/** @throws Error if a reply is not the complete list of requested vectors */
export function checkReply({ status, body }: Reply, shape: Shape): void {
  if (typeof status === "string") {
    throw new Error(`the endpoint can't be reached: ${status}`);
  }
  if (status !== 200) {
    throw new Error(`the endpoint returned ${status}: ${body.toString().slice(0, 300)}`);
  }
  const { data } = JSON.parse(body.toString()) as { data?: { embedding: unknown }[] };
  if (!Array.isArray(data) || data.length !== shape.batch) {
    throw new Error(`the endpoint returned ${data?.length ?? "no"} vectors for ${shape.batch} texts`);
  }
  const kind = shape.format === "base64" ? "string" : "object";
  if (data.some(({ embedding }) => typeof embedding !== kind)) {
    throw new Error(`the endpoint did not reply in ${shape.format}`);
  }
}

export function readCa(file: string | undefined): string | undefined {
  return file ? readFileSync(file, "utf8") : undefined;
}
