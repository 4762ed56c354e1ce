export function norm(vector: number[]): number {
  return Math.sqrt(dot(vector, vector));
}

/** Cosine similarity of two vectors of one length. */
export function cosine(a: number[], b: number[]): number {
  return dot(a, b) / (norm(a) * norm(b));
}

/** Little-endian float32, as OpenAI's `encoding_format: "base64"` carries a vector. */
export function decodeBase64(text: string): number[] {
  const bytes = Buffer.from(text, "base64");
  return Array.from({ length: Math.floor(bytes.length / 4) }, (_, i) => bytes.readFloatLE(4 * i));
}

function dot(a: number[], b: number[]): number {
  return a.reduce((sum, value, i) => sum + value * (b[i] ?? Number.NaN), 0);
}
