import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Embeddings } from "./embeddings.mjs";
import { readKey } from "./key.mjs";
import { Index } from "./search.mjs";

/** @param {string} name */
const file = (name) => readFileSync(join(import.meta.dirname, name), "utf8");

const embeddings = new Embeddings({
  baseUrl: process.env.EMBEDDING_API_BASE ?? "",
  model: process.env.EMBEDDING_MODEL ?? "",
  ca: file("ca.pem"),
  readKey,
});

/** @type {Promise<Index> | undefined} */
let index;

/**
 * Returns the documents closest to the query of `{ "query": "…", "most": 3 }`.
 *
 * @param {{ query?: unknown, most?: unknown }} event
 */
export async function handler({ query, most = 3 }) {
  if (typeof query !== "string" || query === "") {
    throw new Error("query must be a string that is not empty");
  }
  if (!Number.isInteger(most) || Number(most) < 1 || Number(most) > 20) {
    throw new Error("most must be a whole number from 1 to 20");
  }
  index ??= buildIndex().catch((error) => {
    // The next call retries.
    index = undefined;
    throw error;
  });
  return { query, results: await (await index).search(query, Number(most)) };
}

/** Called once per instance of the function. */
async function buildIndex() {
  const documents = file("corpus.jsonl")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line).text);
  return Index.of(embeddings, documents);
}
