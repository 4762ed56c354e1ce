/** Minimum cosine of two vectors of the same text: bfloat16 and batching change a vector slightly. */
export const SAME = 0.999;

export function norm(vector: number[]): number {
  return Math.sqrt(dot(vector, vector));
}

/** Cosine similarity of two vectors of one length. */
export function cosine(a: number[], b: number[]): number {
  return dot(a, b) / (norm(a) * norm(b));
}

/**
 * Whether two vectors are of one text and not of another. With random weights all vectors are close to each other, so
 * the cosine with the vector of another text is the scale.
 *
 * @param same cosine of the two vectors
 * @param other cosine of one of them with the vector of the other text
 */
export function isSameText(same: number, other: number): boolean {
  return same > SAME && 1 - other > 10 * (1 - same) + 1e-6;
}

/** The smallest of some cosines, for evidence. */
export function lowest(cosines: number[]): string {
  return Math.min(...cosines).toFixed(6);
}

/** Little-endian float32, as OpenAI's `encoding_format: "base64"` carries a vector. */
export function decodeBase64(text: string): number[] {
  const bytes = Buffer.from(text, "base64");
  return Array.from({ length: Math.floor(bytes.length / 4) }, (_, i) => bytes.readFloatLE(4 * i));
}

function dot(a: number[], b: number[]): number {
  let sum = 0;
  for (let i = 0; i < a.length; i += 1) {
    sum += (a[i] ?? Number.NaN) * (b[i] ?? Number.NaN);
  }
  return sum;
}
