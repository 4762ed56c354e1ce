import { setTimeout as sleep } from "node:timers/promises";
import { excerpt } from "../lib/text";
import type { EndpointClient } from "../verify/client";

const BATCH = 32;
const CONNECTIONS = 4;
/** How often a request is retried when the server rejects it temporarily. */
const TRIES = 20;

export interface EmbedOptions {
  model: string;
  instruction?: string;
  progress?(done: number): void;
}

/** One vector per text, in order, with all dimensions of the model. @throws Error with the server's error */
export async function embedAll(
  client: EndpointClient,
  texts: string[],
  { model, instruction, progress }: EmbedOptions,
): Promise<Float32Array[]> {
  const vectors: Float32Array[] = new Array(texts.length);
  let next = 0;
  let done = 0;
  const work = async () => {
    while (next < texts.length) {
      const begin = next;
      const input = texts.slice(begin, begin + BATCH);
      next += input.length;
      const batch = await embedBatch(client, { model, input, instruction, encoding_format: "base64" });
      for (const [i, vector] of batch.entries()) {
        vectors[begin + i] = vector;
      }
      done += input.length;
      progress?.(done);
    }
  };
  await Promise.all(Array.from({ length: CONNECTIONS }, work));
  return vectors;
}

async function embedBatch(client: EndpointClient, body: object): Promise<Float32Array[]> {
  for (let tries = 1; ; tries++) {
    const reply = await client.send({ method: "POST", path: "/v1/embeddings", authorization: "key", body });
    if (reply.status === 200) {
      const { data } = reply.json as { data: { embedding: string }[] };
      return data.map(({ embedding }) => {
        const { buffer, byteOffset, byteLength } = Uint8Array.from(Buffer.from(embedding, "base64"));
        return new Float32Array(buffer, byteOffset, byteLength / 4);
      });
    }
    if ((reply.status !== 429 && reply.status !== 503) || tries === TRIES) {
      throw new Error(`the endpoint returned ${reply.status}: ${excerpt(reply.text, 400)}`);
    }
    await sleep(1000 * Number(reply.headers["retry-after"] ?? 1));
  }
}
