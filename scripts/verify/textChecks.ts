import type { EndpointClient, Usage } from "./client";
import { contextLimit, digits } from "./context";
import { type Check, expect, Skipped, WORKER_LOG } from "./row";
import type { Target } from "./target";
import { cosine, isSameText, lowest } from "./vectors";

/** Texts that no model takes for each other. */
const WORDS =
  "anchor bread castle desert engine forest guitar harbor island jungle kettle ladder market needle ocean planet quarry river summer turtle".split(
    " ",
  );
const COUNTS = [1, 10, 60];
/** Characters that long texts have in common: more than limits that a server might set by mistake. */
const COMMON = [2500, 8000];
const ENDINGS = [" The sea is full of ships.", " A king lives in a tower."].map((text) => text.repeat(10));
/** Longer texts are sent only where one of the last length took no longer: a rotation waits for them. */
const FAST_SECONDS = 0.6;

/** Texts of one length that were served. */
interface Served {
  characters: number;
  /** Per text. */
  seconds: number;
  /** Cosine of the vectors of one text, requested twice. */
  same: number;
}

/** Every text counts, all of it, and only for its own vector. */
export function textChecks(client: EndpointClient, { model }: Target): Check[] {
  /** The longest texts, if all were served. */
  let longest: Served | undefined;

  return [
    {
      name: `a batch of ${WORDS.length} is in order`,
      about: "service",
      next: `texts would get each other's vectors: ${WORKER_LOG}`,
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
      next: `clients could not see what a request costs: ${WORKER_LOG}`,
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
      next: `the vector is not that of the whole text: ${WORKER_LOG}`,
      async run() {
        const { same, different } = await differAtTheEnd("Two and two is 4", "Two and two is 5");
        return `cosine ${different.toFixed(6)}, and ${same.toFixed(6)} for the same text again`;
      },
    },
    {
      name: "nothing of a long text is cut off",
      about: "service",
      next: `long texts lose their end, without an error: compare contextLength with max_model_len, and ${WORKER_LOG}`,
      async run() {
        const limit = await contextLimit(client);
        // With a short context, the common part is what remains of it.
        const ending = Math.min(ENDINGS[0]!.length, Math.floor(limit / 4));
        const seen: string[] = [];
        let last: Served | undefined;
        for (const characters of COMMON.map((count) => Math.min(count, limit - ending - 1))) {
          if (last && (last.seconds > FAST_SECONDS || characters === last.characters)) {
            break;
          }
          const [one = "", other = ""] = ENDINGS.map((text) => digits(characters) + text.slice(0, ending));
          const { seconds, same, different } = await differAtTheEnd(one, other, last?.same);
          last = { characters, seconds, same };
          seen.push(
            `${characters} characters in common, then ${ending} others: cosine ${different.toFixed(6)}`,
          );
        }
        longest = last;
        return `${seen.join("; ")}; ${last?.same.toFixed(6)} for the same text again`;
      },
    },
    {
      name: "a text of the whole context is served",
      about: "service",
      next: `texts that the documentation allows fail: compare contextLength with max_model_len, and ${WORKER_LOG}`,
      async run() {
        const limit = await contextLimit(client);
        if (longest === undefined || longest.seconds > FAST_SECONDS) {
          const why = longest
            ? `${longest.characters} took ${longest.seconds.toFixed(1)} s`
            : "shorter ones were not served";
          return new Skipped(`${limit} tokens were not tried: ${why}`);
        }
        const ending = Math.floor(limit / 32);
        const [one = "", other = ""] = ["2", "3"].map(
          (digit) => digits(limit - 1 - ending) + digit.repeat(ending),
        );
        const { seconds, different } = await differAtTheEnd(one, other, longest.same);
        return `${limit} tokens in ${seconds.toFixed(1)} s, different ends: cosine ${different.toFixed(6)}`;
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

  /** @param known cosine of the vectors of one text; requests `one` twice if there is none */
  async function differAtTheEnd(one: string, other: string, known?: number) {
    const begin = performance.now();
    const [first, second] = (await eachAlone([one, other])) as [number[], number[]];
    const seconds = (performance.now() - begin) / 2000;
    const same = known ?? cosine(first, await alone(one));
    const different = cosine(first, second);
    expect(
      isSameText(same, different),
      `${one.length} characters: cosine ${different.toFixed(6)}, and ${same.toFixed(6)} for the same text again`,
    );
    return { seconds, same, different };
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
