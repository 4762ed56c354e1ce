// Embeddings with LangChain for Node. It requires `@langchain/openai`, `@langchain/core` and `undici`, and the
// variables that `npm run -s env` prints.
import { readFileSync } from "node:fs";
import { OpenAIEmbeddings } from "@langchain/openai";
import { Agent, fetch } from "undici";

const instruction = "Given a web search query, retrieve relevant passages that answer the query";
const caFile = process.env.EMBEDDING_CA_FILE;
const dispatcher = new Agent({ connect: caFile ? { ca: readFileSync(caFile) } : {} });

/** Queries have the instruction, documents do not. LangChain passes no extra fields, so it is part of the text. */
class Qwen3Embeddings extends OpenAIEmbeddings {
  embedQuery(text) {
    return super.embedQuery(`Instruct: ${instruction}\nQuery:${text}`);
  }
}

const embeddings = new Qwen3Embeddings({
  model: process.env.EMBEDDING_MODEL,
  apiKey: process.env.EMBEDDING_API_KEY,
  configuration: {
    baseURL: process.env.EMBEDDING_API_BASE,
    fetch: (url, init) => fetch(url, { ...init, dispatcher }),
  },
  dimensions: 1024,
  // Otherwise every line break is replaced by a space, including the one before `Query:`.
  stripNewLines: false,
  batchSize: 256,
  maxRetries: 5,
});

export const embedDocuments = (texts) => embeddings.embedDocuments(texts);
export const embedQuery = (text) => embeddings.embedQuery(text);

if (process.argv[1] === import.meta.filename) {
  const documents = ["The capital of China is Beijing.", "重力使苹果落地。"];
  const query = await embedQuery("What is the capital of China?");
  for (const [i, vector] of (await embedDocuments(documents)).entries()) {
    console.log(query.reduce((sum, value, k) => sum + value * vector[k], 0).toFixed(4), documents[i]);
  }
}
