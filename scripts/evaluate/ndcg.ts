/**
 * nDCG at a rank, as in trec_eval's `ndcg_cut` and BEIR: a document's gain is its judgement divided by the binary
 * logarithm of its rank plus one. 1 is the best order that the judgements allow.
 *
 * @param ranking document IDs, best first
 * @param judgements by document ID; a document without one counts 0
 * @returns 0 to 1; 0 if nothing is judged relevant
 */
export function ndcg(ranking: readonly string[], judgements: ReadonlyMap<string, number>, at = 10): number {
  const ideal = [...judgements.values()].filter((gain) => gain > 0).sort((a, b) => b - a);
  const best = discounted(ideal.slice(0, at));
  return best === 0 ? 0 : discounted(ranking.slice(0, at).map((id) => judgements.get(id) ?? 0)) / best;
}

function discounted(gains: number[]): number {
  return gains.reduce((sum, gain, i) => sum + gain / Math.log2(i + 2), 0);
}
