import type { EndpointClient, Usage } from "./client";
import { contextLimit, digits } from "./context";
import { type Check, expect, Skipped } from "./row";
import type { Target } from "./target";
import { cosine, isSameText, lowest } from "./vectors";

/** Texts that no model takes for each other. */
const WORDS =
  "anchor bread castle desert engine forest guitar harbor island jungle kettle ladder market needle ocean planet quarry river summer turtle".split(
    " ",
  );
const COUNTS = [1, 10, 60];
/** Characters that long texts have in common: more than any limit that a server might set by mistake. */
const COMMON = 8000;
const ENDINGS = [" The sea is full of ships.", " A king lives in a tower."].map((text) => text.repeat(10));
/** Texts of the whole context are sent where one of {@link COMMON} takes no longer: not on a CPU. */
const FAST_SECONDS = 2;

/** Every text counts, all of it, and only for its own vector. */
export function textChecks(client: EndpointClient, { model }: Target): Check[] {
  const workerLog = "check the workers: journalctl -u 'qwen3-embed@*' on the instance";
  /** Seconds of a long text, and the cosine of its vectors. */
  let long: { seconds: number; same: number } | undefined;

  return [
    {
      name: `a batch of ${WORDS.length} is in order`,
      about: "service",
      next: `texts would get each other's vectors: ${workerLog}`,
      async run() {
        const single = await eachAlone(WORDS);
        const cosines: number[] = [];
        for (const encoding_format of ["float", "base64"]) {
          const { vectors } = await client.embed({ model, input: WORDS, encoding_format });
          expect(
            vectors.length === WORDS.length,
            `${encoding_format}: ${vectors.length} vectors for ${WORDS.length} texts`,
          );
          const wrong = WORDS.filter((_, i) => {
            const own = cosine(vectors[i]!, single[i]!);
            const others = single.filter((_, j) => j !== i).map((vector) => cosine(vectors[i]!, vector));
            cosines.push(own);
            return !isSameText(own, Math.max(...others));
          });
          expect(
            wrong.length === 0,
            `${encoding_format}: ${wrong.length} of ${WORDS.length} texts do not have the vector that they have alone`,
          );
        }
        return `each has the vector that it has alone, also as base64: cosine at least ${lowest(cosines)}`;
      },
    },
    {
      name: "usage counts every token",
      about: "service",
      next: `clients could not see what a request costs: ${workerLog}`,
      async run() {
        const texts = COUNTS.map(digits);
        const counted: number[] = [];
        for (const text of texts) {
          counted.push(promptTokens(await client.embed({ model, input: text })));
        }
        const expected = COUNTS.map((count) => count + 1);
        expect(
          String(counted) === String(expected),
          `${counted.join(", ")} prompt_tokens for ${COUNTS.join(", ")} digits instead of ${expected.join(", ")}, one more for the end of text`,
        );
        const together = promptTokens(await client.embed({ model, input: texts }));
        const sum = counted.reduce((total, count) => total + count, 0);
        expect(together === sum, `${together} prompt_tokens for the three texts together instead of ${sum}`);
        return `${counted.join(", ")} tokens for ${COUNTS.join(", ")} digits, ${together} together`;
      },
    },
    {
      name: "the end of a text counts",
      about: "service",
      next: `the vector is not that of the whole text: ${workerLog}`,
      async run() {
        const { seen } = await differAtTheEnd("Two and two is 4", "Two and two is 5");
        return seen;
      },
    },
    {
      name: "nothing of a long text is cut off",
      about: "service",
      next: `long texts lose their end, without an error: compare contextLength with max_model_len, and ${workerLog}`,
      async run() {
        const limit = await contextLimit(client);
        // With a short context, the common part is what remains of it.
        const ending = Math.min(ENDINGS[0]!.length, Math.floor(limit / 4));
        const common = digits(Math.min(COMMON, limit - ending - 1));
        const [one = "", other = ""] = ENDINGS.map((text) => common + text.slice(0, ending));
        const { seen, ...measured } = await differAtTheEnd(one, other);
        long = measured;
        return `${common.length} characters in common, then ${ending} others: ${seen}`;
      },
    },
    {
      name: "a text of the whole context is served",
      about: "service",
      next: `texts that the documentation allows fail: compare contextLength with max_model_len, and ${workerLog}`,
      async run() {
        const limit = await contextLimit(client);
        if (long === undefined || long.seconds > FAST_SECONDS) {
          const why = long ? `${COMMON} took ${long.seconds.toFixed(1)} s` : "shorter ones were not served";
          return new Skipped(`${limit} tokens were not tried: ${why}`);
        }
        const begin = performance.now();
        const ending = Math.floor(limit / 32);
        const texts = ["2", "3"].map((digit) => digits(limit - 1 - ending) + digit.repeat(ending));
        const [one = [], other = []] = await eachAlone(texts);
        const seconds = ((performance.now() - begin) / 2000).toFixed(1);
        const different = cosine(one, other);
        expect(
          isSameText(long.same, different),
          `texts with different ends have cosine ${different.toFixed(6)}`,
        );
        return `${limit} tokens in ${seconds} s, different ends: cosine ${different.toFixed(6)}`;
      },
    },
  ];

  /** One request after another: the vectors of a batch depend a little on what is computed with them. */
  async function eachAlone(texts: string[]): Promise<number[][]> {
    const vectors: number[][] = [];
    for (const text of texts) {
      vectors.push(await alone(text));
    }
    return vectors;
  }

  async function alone(text: string): Promise<number[]> {
    const { vectors } = await client.embed({ model, input: text });
    expect(vectors.length === 1, `${vectors.length} vectors for one text`);
    return vectors[0]!;
  }

  async function differAtTheEnd(one: string, other: string) {
    const begin = performance.now();
    const [first, second, again] = (await eachAlone([one, other, one])) as [number[], number[], number[]];
    const seconds = (performance.now() - begin) / 3000;
    const [same, different] = [cosine(first, again), cosine(first, second)];
    const seen = `cosine ${different.toFixed(6)}, and ${same.toFixed(6)} for the same text again`;
    expect(isSameText(same, different), seen);
    return { seen, seconds, same };
  }
}

/** @throws Error if the usage is not one of an embedding */
function promptTokens({ usage }: { usage: Usage | undefined }): number {
  const { prompt_tokens: prompt, total_tokens: total } = usage ?? {};
  expect(typeof prompt === "number", "the response has no usage.prompt_tokens");
  expect(
    total === prompt,
    `total_tokens is ${total} and prompt_tokens ${prompt}: they are the same for embeddings`,
  );
  return prompt;
}
