const INSTRUCTION = "Given a web search query, retrieve relevant passages that answer the query";
const DIMENSIONS = 1024;
const BATCH = 100;

/** Documents and their vectors, in memory. For more than a few thousand documents, use a vector store. */
export class Index {
  #embeddings;
  #documents;
  #vectors;

  /**
   * Embeds the documents, without an instruction.
   *
   * @param {import("./embeddings.mjs").Embeddings} embeddings
   * @param {string[]} documents
   */
  static async of(embeddings, documents) {
    const vectors = [];
    for (let begin = 0; begin < documents.length; begin += BATCH) {
      const batch = documents.slice(begin, begin + BATCH);
      vectors.push(...(await embeddings.embed(batch, { dimensions: DIMENSIONS })));
    }
    return new Index(embeddings, documents, vectors);
  }

  /**
   * @param {import("./embeddings.mjs").Embeddings} embeddings
   * @param {string[]} documents
   * @param {number[][]} vectors
   */
  constructor(embeddings, documents, vectors) {
    this.#embeddings = embeddings;
    this.#documents = documents;
    this.#vectors = vectors;
  }

  /**
   * Returns the documents closest to a query, closest first, each with its cosine.
   *
   * @param {string} query
   * @param {number} most
   */
  async search(query, most) {
    const fields = { dimensions: DIMENSIONS, instruction: INSTRUCTION };
    const [vector = []] = await this.#embeddings.embed([query], fields);
    return this.#vectors
      .map((other, i) => ({ score: dot(vector, other), text: this.#documents[i] }))
      .sort((a, b) => b.score - a.score)
      .slice(0, most);
  }
}

/** @param {number[]} a @param {number[]} b */
function dot(a, b) {
  return a.reduce((sum, value, i) => sum + value * (b[i] ?? 0), 0);
}
