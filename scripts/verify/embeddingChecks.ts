import type { EndpointClient } from "./client";
import { type Check, expect, Skipped, WORKER_LOG } from "./row";
import type { Target } from "./target";
import { cosine, isSameText, norm, SAME } from "./vectors";

const UNIT_TOLERANCE = 1e-3;
const SHORT = 768;

const INSTRUCTION = "Given a web search query, retrieve relevant passages that answer the query";
const QUERIES = ["What is the capital of China?", "Explain gravity"];
const DOCUMENTS = [
  "The capital of China is Beijing.",
  "Gravity is a force that attracts two bodies towards each other. It gives weight to physical objects and is " +
    "responsible for the movement of planets around the sun.",
];
/** From the model card of Qwen/Qwen3-Embedding-4B: queries by documents. */
const CARD_SIMILARITIES = [
  [0.7534, 0.1147],
  [0.032, 0.6258],
];
const CARD_TOLERANCE = 0.02;

/** The format of an embedding, and whether its meaning matches the model card. */
export function embeddingChecks(client: EndpointClient, target: Target): Check[] {
  const { model, dimensions } = target;
  const text = QUERIES[0] as string;

  return [
    {
      name: "an embedding is complete",
      about: "service",
      next: `other vectors than the stack promises: ${WORKER_LOG}`,
      async run() {
        const reply = await client.embed({ model, input: text });
        const vector = only(reply.vectors);
        expectUnit(vector, dimensions);
        expect(
          reply.model === model,
          `the response's model is ${JSON.stringify(reply.model)} instead of ${model}`,
        );
        return `${dimensions} numbers of length ${norm(vector).toFixed(4)}, model ${reply.model}`;
      },
    },
    {
      name: `dimensions ${SHORT} shortens`,
      about: "service",
      next: `check that the model is loaded with Matryoshka support, and ${WORKER_LOG}`,
      async run() {
        const full = only((await client.embed({ model, input: text })).vectors);
        const short = only((await client.embed({ model, input: text, dimensions: SHORT })).vectors);
        expectUnit(short, SHORT);
        const similarity = cosine(short, full.slice(0, SHORT));
        expect(
          similarity > SAME,
          `not the start of the full vector: their cosine is ${similarity.toFixed(6)}`,
        );
        return `${SHORT} numbers of length ${norm(short).toFixed(4)}, the start of the full vector (cosine ${similarity.toFixed(6)})`;
      },
    },
    {
      name: "float and base64 agree",
      about: "service",
      next: `OpenAI clients request base64 by default and would get different vectors: ${WORKER_LOG}`,
      async run() {
        const asked = (encoding_format: string) => client.embed({ model, input: text, encoding_format });
        const [float, base64] = [await asked("float"), await asked("base64")];
        expect(!float.base64 && base64.base64, "the response has a different encoding than requested");
        expectUnit(only(base64.vectors), dimensions);
        const similarity = cosine(only(float.vectors), only(base64.vectors));
        expect(similarity > SAME, `their cosine is ${similarity.toFixed(6)}`);
        return `little-endian float32, cosine ${similarity.toFixed(6)}`;
      },
    },
    {
      name: "instruction is the card's prompt",
      about: "service",
      next: `a query would be compared with documents in the wrong way: ${WORKER_LOG}`,
      async run() {
        const prompts = [
          `Instruct: ${INSTRUCTION}\nQuery:${text}`,
          `Instruct: ${INSTRUCTION}\nQuery: ${text}`,
          text,
        ];
        const instructed = only(
          (await client.embed({ model, input: text, instruction: INSTRUCTION })).vectors,
        );
        const { vectors } = await client.embed({ model, input: prompts });
        const [card = Number.NaN, spaced = Number.NaN, plain = Number.NaN] = vectors.map((vector) =>
          cosine(instructed, vector),
        );
        const seen = `cosine ${card.toFixed(6)} with the prompt, ${spaced.toFixed(6)} with a space after Query:, ${plain.toFixed(6)} with the plain text`;
        expect(card >= spaced && isSameText(card, plain), seen);
        return seen;
      },
    },
    {
      name: "the model card's similarities",
      about: "service",
      next: `wrong pooling, prompt, EOS or weights: compare modelSource with the pinned revision, and ${WORKER_LOG}`,
      async run() {
        if (!target.publishedWeights) {
          return new Skipped(
            "not the published weights (setting publishedWeights): their vectors have another meaning, or none",
          );
        }
        const queries = (await client.embed({ model, input: QUERIES, instruction: INSTRUCTION })).vectors;
        const documents = (await client.embed({ model, input: DOCUMENTS })).vectors;
        const similarities = queries.map((query) => documents.map((document) => cosine(query, document)));
        const furthest = Math.max(
          ...CARD_SIMILARITIES.flatMap((row, i) =>
            row.map((card, j) => Math.abs(card - (similarities[i]?.[j] ?? Number.NaN))),
          ),
        );
        const seen = `${table(similarities)}, the card has ${table(CARD_SIMILARITIES)}: ${furthest.toFixed(4)} apart at most`;
        expect(furthest <= CARD_TOLERANCE, seen);
        return seen;
      },
    },
  ];
}

function only(vectors: number[][]): number[] {
  expect(vectors.length === 1, `${vectors.length} embeddings for one input`);
  return vectors[0] as number[];
}

function expectUnit(vector: number[], dimensions: number): void {
  expect(vector.length === dimensions, `${vector.length} dimensions instead of ${dimensions}`);
  const length = norm(vector);
  expect(Math.abs(length - 1) <= UNIT_TOLERANCE, `the vector's length is ${length.toFixed(4)} instead of 1`);
}

function table(rows: number[][]): string {
  return JSON.stringify(rows.map((row) => row.map((value) => Number(value.toFixed(4)))));
}
