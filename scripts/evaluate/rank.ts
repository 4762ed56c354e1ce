/**
 * Indices of the documents by cosine similarity to a query, closest first, with the first `dimensions` numbers of each
 * vector. These are the server's vectors for `dimensions` except for their length, which does not affect a cosine.
 */
export function rank(
  query: Float32Array,
  documents: readonly Float32Array[],
  dimensions: number,
  most = 10,
): number[] {
  const scores = documents.map((document, index) => ({
    index,
    score: similarity(query, document, dimensions),
  }));
  return scores
    .sort((a, b) => b.score - a.score)
    .slice(0, most)
    .map(({ index }) => index);
}

/** The cosine multiplied by the query's length, which is the same for every document. */
function similarity(query: Float32Array, document: Float32Array, dimensions: number): number {
  let product = 0;
  let square = 0;
  for (let i = 0; i < dimensions; i++) {
    product += query[i]! * document[i]!;
    square += document[i]! * document[i]!;
  }
  return product / Math.sqrt(square);
}
