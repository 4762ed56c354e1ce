// Embeddings with OpenAI's client for Node. It requires `openai` and `undici`, and the variables that `npm run -s env`
// prints.
import { readFileSync } from "node:fs";
import OpenAI from "openai";
import { Agent, fetch } from "undici";

const model = process.env.EMBEDDING_MODEL;
const instruction = "Given a web search query, retrieve relevant passages that answer the query";
const dimensions = 1024;
const batch = 256;

// The stack's own certificate authority, only for this client. With a domain, the variable is not set.
const caFile = process.env.EMBEDDING_CA_FILE;
const dispatcher = new Agent({ connect: caFile ? { ca: readFileSync(caFile) } : {} });

const client = new OpenAI({
  baseURL: process.env.EMBEDDING_API_BASE,
  apiKey: process.env.EMBEDDING_API_KEY,
  fetch: (url, init) => fetch(url, { ...init, dispatcher }),
  maxRetries: 5,
});

/** Returns one vector per text, in order. */
export async function embedDocuments(texts) {
  const vectors = [];
  for (let begin = 0; begin < texts.length; begin += batch) {
    const input = texts.slice(begin, begin + batch);
    const { data } = await client.embeddings.create({ model, input, dimensions });
    vectors.push(...data.map(({ embedding }) => embedding));
  }
  return vectors;
}

/** Returns the vector to compare with those of documents. */
export async function embedQuery(text) {
  // In TypeScript, add `// @ts-expect-error`: the client also sends fields that its types do not have.
  const { data } = await client.embeddings.create({ model, input: text, dimensions, instruction });
  return data[0].embedding;
}

if (process.argv[1] === import.meta.filename) {
  const documents = ["The capital of China is Beijing.", "重力使苹果落地。"];
  const query = await embedQuery("What is the capital of China?");
  for (const [i, vector] of (await embedDocuments(documents)).entries()) {
    // Vectors have length 1: the dot product is the cosine.
    console.log(query.reduce((sum, value, k) => sum + value * vector[k], 0).toFixed(4), documents[i]);
  }
}
