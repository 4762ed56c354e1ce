import { createServer, type IncomingMessage, type Server } from "node:http";
import { Agent, request } from "undici";
import { close, listen } from "../../loopback";

/** One request to the endpoint and its response. */
export interface Exchange {
  request: Record<string, unknown> & { input: unknown };
  status: number;
  answer: { data?: { embedding: string | number[] }[]; error?: { message: string } };
}

/** A proxy between a client and the endpoint, over plain HTTP on loopback, that records requests and responses. */
export class Recorder {
  readonly exchanges: Exchange[] = [];
  /** Statuses that the next requests get, with `Retry-After: 1`, instead of being passed on. */
  readonly refusals: number[] = [];
  readonly #server: Server;
  readonly #agent: Agent;

  /**
   * @param endpoint base URL, `https://HOST/v1`
   * @param ca PEM
   */
  constructor(endpoint: string, ca: string) {
    this.#agent = new Agent({ connect: { ca } });
    this.#server = createServer(async (incoming, outgoing) => {
      const body = await read(incoming);
      const refusal = this.refusals.shift();
      if (refusal !== undefined) {
        const error = JSON.stringify({
          error: { message: "later", type: "requests", param: null, code: null },
        });
        outgoing.writeHead(refusal, { "content-type": "application/json", "retry-after": "1" }).end(error);
        return;
      }
      const reply = await request(new URL(incoming.url ?? "", endpoint), {
        method: "POST",
        headers: {
          "content-type": "application/json",
          authorization: incoming.headers.authorization ?? "",
        },
        body,
        dispatcher: this.#agent,
      });
      const text = await reply.body.text();
      this.exchanges.push({ request: JSON.parse(body), status: reply.statusCode, answer: JSON.parse(text) });
      outgoing.writeHead(reply.statusCode, { "content-type": "application/json" }).end(text);
    });
  }

  /** Returns the base URL for the client. */
  async listen(): Promise<string> {
    return `http://127.0.0.1:${await listen(this.#server)}/v1`;
  }

  async close(): Promise<void> {
    await close(this.#server);
    await this.#agent.close();
  }
}

async function read(incoming: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of incoming) {
    chunks.push(chunk as Buffer);
  }
  return Buffer.concat(chunks).toString();
}
