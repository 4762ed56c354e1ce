// Embeddings with Vercel's AI SDK. It requires `ai`, `@ai-sdk/openai-compatible` and `undici`, and the variables that
// `npm run -s env` prints.
import { readFileSync } from "node:fs";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { cosineSimilarity, embed, embedMany } from "ai";
import { Agent, fetch } from "undici";

const instruction = "Given a web search query, retrieve relevant passages that answer the query";
const caFile = process.env.EMBEDDING_CA_FILE;
const dispatcher = new Agent({ connect: caFile ? { ca: readFileSync(caFile) } : {} });

/** The model, with additional fields in each request: the SDK drops unknown fields in providerOptions. */
function model(fields) {
  const provider = createOpenAICompatible({
    name: "qwen3",
    baseURL: process.env.EMBEDDING_API_BASE,
    apiKey: process.env.EMBEDDING_API_KEY,
    fetch: (url, init) => {
      const body = JSON.stringify({ ...JSON.parse(init.body), ...fields });
      return fetch(url, { ...init, body, dispatcher });
    },
  });
  return provider.embeddingModel(process.env.EMBEDDING_MODEL);
}

const documentModel = model({ dimensions: 1024 });
const queryModel = model({ dimensions: 1024, instruction });

/** Returns one vector per text, in order. */
export async function embedDocuments(texts) {
  const { embeddings } = await embedMany({ model: documentModel, values: texts, maxRetries: 5 });
  return embeddings;
}

/** Returns the vector to compare with those of documents. */
export async function embedQuery(text) {
  const { embedding } = await embed({ model: queryModel, value: text, maxRetries: 5 });
  return embedding;
}

if (process.argv[1] === import.meta.filename) {
  const documents = ["The capital of China is Beijing.", "重力使苹果落地。"];
  const query = await embedQuery("What is the capital of China?");
  for (const [i, vector] of (await embedDocuments(documents)).entries()) {
    console.log(cosineSimilarity(query, vector).toFixed(4), documents[i]);
  }
}
