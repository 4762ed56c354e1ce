// steady.mjs: as steady.py, with OpenAI's client for Node.
import { setTimeout as sleep } from "node:timers/promises";
import OpenAI from "openai";

const LOOPS = 3;
const PAUSE_MS = 300;

const client = new OpenAI({
  baseURL: process.env.EMBEDDING_API_BASE,
  apiKey: process.env.EMBEDDING_API_KEY,
});
const times = [];
const failed = [];
let ended = false;

async function call(loop) {
  for (let count = 0; !ended; count += 1) {
    const begin = Date.now();
    await client.embeddings
      .create({ model: process.env.EMBEDDING_MODEL, input: `node ${loop}, text ${count}` })
      .catch((error) => failed.push(`${error.name}: ${error.message}`));
    times.push((Date.now() - begin) / 1000);
    await sleep(PAUSE_MS);
  }
}

process.stdin.on("end", () => {
  ended = true;
});
process.stdin.resume();
await Promise.all(Array.from({ length: LOOPS }, (_, loop) => call(loop)));
process.stdout.write(JSON.stringify({ calls: times.length, failed, slowest: Math.max(...times) }));
