import { createHash } from "node:crypto";
import type { Has } from "./faults";

export const MODEL = "Qwen3-Embedding-4B";
export const DIMENSIONS = 2560;
export const CONTEXT_LENGTH = 32768;

const FEWEST_DIMENSIONS = 32;
const FIELDS = ["model", "input", "encoding_format", "dimensions", "instruction", "user"];
const MODEL_PATH = "/var/lib/qwen3/models/1";

export interface Answer {
  status: number;
  body: object;
}

/** POST /v1/embeddings without a model: a vector depends only on its text. A token is a byte, as in the tiny model. */
export class FakeModel {
  /** @param contextLength in tokens, including the end-of-text token */
  constructor(
    private readonly has: Has,
    private readonly contextLength: () => number,
  ) {}

  /** GET /v1/models. */
  list(): object {
    const id = this.has("model not listed") ? MODEL_PATH : MODEL;
    return { object: "list", data: [{ id, object: "model", max_model_len: this.contextLength() }] };
  }

  /** @param differs whether the worker that responds has other weights */
  answer(request: Record<string, unknown>, differs: boolean): Answer {
    const texts = [request.input ?? ""].flat() as string[];
    const prompts = texts.map((text) => this.#prompt(text, request.instruction));
    return this.#refusal(request, prompts) ?? { status: 200, body: this.#list(request, prompts, differs) };
  }

  #refusal(request: Record<string, unknown>, prompts: string[]): Answer | undefined {
    const { model, dimensions } = request;
    const unknown = Object.keys(request).find((name) => !FIELDS.includes(name));
    if (unknown !== undefined && !this.has("unknown fields ignored")) {
      return refuse(
        400,
        `Unknown field ${unknown}.`,
        this.has("unknown fields without param") ? null : unknown,
      );
    }
    if (model !== MODEL && !this.has("any model served")) {
      return refuse(404, "This model does not exist.", "model", "model_not_found");
    }
    const few = Number(dimensions) < FEWEST_DIMENSIONS && !this.has("too few dimensions served");
    const many = Number(dimensions) > DIMENSIONS && !this.has("too many dimensions served");
    if (dimensions !== undefined && (few || many)) {
      return refuse(400, "dimensions must be a whole number from 32 to 2560.", "dimensions");
    }
    const limit = this.contextLength() - (this.has("context shorter than listed") ? 1 : 0);
    if (!this.has("no context limit") && prompts.some((prompt) => tokens(prompt) > limit)) {
      const code = this.has("context limit without code") ? null : "context_length_exceeded";
      return refuse(400, "input has too many tokens.", "input", code);
    }
    return undefined;
  }

  #list(request: Record<string, unknown>, prompts: string[], differs: boolean): object {
    const vectors = prompts.map((prompt) => this.#vector(prompt, differs));
    const base64 = request.encoding_format === "base64";
    if (prompts.length > 3 && this.has(base64 ? "long base64 batches reversed" : "long batches reversed")) {
      vectors.reverse();
    }
    const data = vectors.map((vector, index) => ({
      object: "embedding",
      index,
      embedding: this.#encode(this.#shorten(vector, request.dimensions), base64),
    }));
    if (this.has("items out of order")) {
      data.reverse();
    }
    const model = this.has("model is a path") ? MODEL_PATH : MODEL;
    return { object: "list", model, data, ...this.#usage(prompts) };
  }

  #usage(prompts: string[]): object {
    if (this.has("no usage")) {
      return {};
    }
    const counted = this.has("usage of the first text") ? prompts.slice(0, 1) : prompts;
    const end = this.has("usage without end of text") ? 1 : 0;
    const sum = counted.reduce((total, prompt) => total + tokens(prompt) - end, 0);
    const count = this.has("usage of texts") ? prompts.length : sum;
    const total = this.has("usage with another total") ? 0 : count;
    return { usage: { prompt_tokens: count, total_tokens: total } };
  }

  #prompt(input: string, instruction: unknown): string {
    if (this.has("card's similarities off") && input.startsWith("Gravity")) {
      return input.slice(0, -1);
    }
    if (typeof instruction !== "string" || this.has("instruction ignored")) {
      return input;
    }
    const space = this.has("instruction with a space") ? " " : "";
    return `Instruct: ${instruction}\nQuery:${space}${input}`;
  }

  #vector(prompt: string, differs: boolean): number[] {
    if (differs) {
      return embedding(`other weights: ${prompt}`);
    }
    const read = prompt.slice(0, this.#cut());
    return embedding(read, this.has("last character of a text ignored") ? read.slice(0, -1) : read);
  }

  #cut(): number | undefined {
    if (this.has("texts cut at 2,000 characters")) {
      return 2000;
    }
    if (this.has("texts cut at 8,000 characters")) {
      return 8000;
    }
    return this.has("texts cut at 20,000 characters") ? 20_000 : undefined;
  }

  #shorten(vector: number[], dimensions: unknown): number[] {
    if (this.has("unnormalized")) {
      return vector.map((value) => 2 * value);
    }
    if (this.has("fewer dimensions")) {
      return unit(vector.slice(0, 1024));
    }
    if (typeof dimensions !== "number" || this.has("dimensions ignored")) {
      return vector;
    }
    if (this.has("dimensions unnormalized")) {
      return vector.slice(0, dimensions);
    }
    return unit(
      this.has("dimensions not a prefix") ? vector.slice(-dimensions) : vector.slice(0, dimensions),
    );
  }

  #encode(vector: number[], base64: boolean): number[] | string {
    if (base64 ? this.has("base64 ignored") : !this.has("float ignored")) {
      return vector;
    }
    const bytes = Buffer.from(Float32Array.from(vector).buffer);
    return (this.has("big-endian base64") ? bytes.swap32() : bytes).toString("base64");
  }
}

/** OpenAI's error object. */
export function openAiError(message: string, code: string | null = null, param: string | null = null) {
  return { error: { message, type: "invalid_request_error", param, code } };
}

function refuse(status: number, message: string, param: string | null, code: string | null = null): Answer {
  return { status, body: openAiError(message, code, param) };
}

/** One per byte, and the end-of-text token. */
function tokens(text: string): number {
  return Buffer.byteLength(text) + 1;
}

/**
 * By text. The first components of the model card's four texts give exactly its similarities.
 *
 * @param seed what the rest of the vector depends on
 */
function embedding(text: string, seed = text): number[] {
  const card: [RegExp, number[]][] = [
    [/^Instruct: .*\nQuery:What is the capital of China\?$/, [0.7534, 0.1147]],
    [/^Instruct: .*\nQuery:Explain gravity$/, [0.032, 0.6258]],
    [/^The capital of China is Beijing\.$/, [1, 0]],
    [/^Gravity is a force.*sun\.$/, [0, 1]],
  ];
  const start = card.find(([pattern]) => pattern.test(text))?.[1] ?? [0, 0];
  const rest = Math.sqrt(Math.max(0, 1 - start[0]! ** 2 - start[1]! ** 2));
  // As short as a server's float32, because reading and writing numbers takes most of the time of a test.
  return [...start, ...noise(seed, DIMENSIONS - 2).map((value) => Math.round(1e8 * rest * value) / 1e8)];
}

/** The tests ask for the same texts again and again. */
const known = new Map<string, number[]>();

/** A unit vector that depends only on the text. */
function noise(text: string, length: number): number[] {
  const digest = createHash("sha256").update(text).digest();
  const name = digest.toString("hex");
  let vector = known.get(name);
  if (vector === undefined) {
    let state = digest.readUInt32LE();
    vector = unit(
      Array.from({ length }, () => {
        state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
        return state / 2 ** 31 - 1;
      }),
    );
    known.set(name, vector);
  }
  return vector;
}

function unit(vector: number[]): number[] {
  const length = Math.hypot(...vector);
  return vector.map((value) => value / length);
}
