import { Agent, request } from "node:https";
import { setTimeout as sleep } from "node:timers/promises";

/** How often a request is retried that the server rejects temporarily. */
const RETRIES = 3;

/** Computes vectors with the endpoint. The key may change at any time. */
export class Embeddings {
  /** @type {Promise<string> | undefined} */
  #key;
  #url;
  #model;
  #readKey;
  #agent;

  /**
   * @param {object} options
   * @param {string} options.baseUrl `https://ADDRESS/v1`
   * @param {string} options.model
   * @param {string} options.ca PEM of the only certificate authorities to trust; empty for public authorities
   * @param {() => Promise<string>} options.readKey called for the first request, and when the key is refused
   */
  constructor({ baseUrl, model, ca, readKey }) {
    this.#url = `${baseUrl}/embeddings`;
    this.#model = model;
    this.#readKey = readKey;
    this.#agent = new Agent({ ca: ca || undefined, keepAlive: true });
  }

  /**
   * Returns one vector per text, in order, of length 1.
   *
   * @param {string[]} texts
   * @param {{ instruction?: string, dimensions?: number }} [fields] set the instruction only for queries
   * @returns {Promise<number[][]>}
   */
  async embed(texts, fields = {}) {
    const body = JSON.stringify({ model: this.#model, input: texts, ...fields });
    this.#key ??= this.#readKey();
    let answer = await this.#post(body, await this.#key);
    if (answer.status === 401) {
      // The key was rotated, and the old key's grace period is over.
      this.#key = this.#readKey();
      answer = await this.#post(body, await this.#key);
    }
    if (answer.status !== 200) {
      throw new Error(`the embedding endpoint returned ${answer.status}: ${answer.body?.error?.message}`);
    }
    return answer.body.data.map((/** @type {{ embedding: number[] }} */ item) => item.embedding);
  }

  /** @param {string} body @param {string} key */
  async #post(body, key) {
    for (let retries = 0; ; retries++) {
      const answer = await this.#send(body, key);
      if ((answer.status !== 429 && answer.status !== 503) || retries === RETRIES) {
        return answer;
      }
      await sleep(1000 * answer.retryAfter);
    }
  }

  /**
   * @param {string} body
   * @param {string} key
   * @returns {Promise<{ status: number, retryAfter: number, body: any }>}
   */
  #send(body, key) {
    const headers = { Authorization: `Bearer ${key}`, "Content-Type": "application/json" };
    return new Promise((resolve, reject) => {
      const call = request(this.#url, { method: "POST", headers, agent: this.#agent }, async (reply) => {
        try {
          const text = (await reply.setEncoding("utf8").toArray()).join("");
          const retryAfter = Number(reply.headers["retry-after"] ?? 1);
          resolve({ status: reply.statusCode ?? 0, retryAfter, body: JSON.parse(text) });
        } catch (error) {
          reject(error);
        }
      });
      call.on("error", reject);
      call.end(body);
    });
  }

  /** Closes persistent connections. */
  close() {
    this.#agent.destroy();
  }
}
