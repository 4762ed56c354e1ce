import { setTimeout as sleep } from "node:timers/promises";
import { describeError } from "../lib/text";
import { cosine, lowest, SAME } from "../verify/vectors";
import { checkAllowed, type Pace } from "./incoming";
import type { Job } from "./job";
import { runProgram } from "./remote";

const ATTEMPTS = 5;

/** What `qwen3-check --vectors` prints. */
interface Vectors {
  /** The settings that determine the vectors. */
  model: Record<string, string>;
  /** Of the same texts in the same order. */
  vectors: number[][];
}

/**
 * Compares the vectors that both instances return for the same texts, unless they serve different models. An old one that
 * does not return any, because it is busy, out of reach or of a version without that program, is no fault of the new one.
 *
 * @returns what was compared
 * @throws Error if the vectors differ, or if the new instance returns none; NotAllowed
 */
export async function compareVectors(job: Job, holder: string, pace: Pace): Promise<string> {
  const now = await vectorsOf(job, job.instanceId, pace);
  const old = await patiently(() => vectorsOf(job, holder, pace), pace);
  if (old instanceof Error) {
    return `the vectors are not compared: ${describeError(old)}`;
  }
  const changed = Object.keys(now.model).filter((name) => now.model[name] !== old.model[name]);
  if (changed.length > 0) {
    return `the vectors are not compared, because ${changed.join(", ")} changed`;
  }
  const cosines = now.vectors.map((vector, i) => cosine(vector, old.vectors[i] ?? []));
  // Not "below", which is false for NaN.
  if (!cosines.every((each) => each > SAME)) {
    throw new Error(
      `${job.instanceId} returns other vectors than ${holder} for the same texts: cosine ${lowest(cosines)}, ` +
        `at least ${SAME} is required while modelSource, modelSha256 and accelerator are unchanged`,
    );
  }
  return `both return the same vectors for ${cosines.length} texts, cosine ${lowest(cosines)}`;
}

/** The error of the last of some attempts: an instance under load refuses some requests. */
async function patiently<T>(attempt: () => Promise<T>, { lookMs }: Pace): Promise<T | Error> {
  for (let left = ATTEMPTS; ; left -= 1) {
    try {
      return await attempt();
    } catch (error) {
      checkAllowed(error as Error);
      if (left <= 1) {
        return error as Error;
      }
      await sleep(lookMs);
    }
  }
}

async function vectorsOf(job: Job, instanceId: string, { pollMs }: Pace): Promise<Vectors> {
  const printed = await runProgram(job, {
    ...{ instanceId, timeoutMs: 120_000, pollMs },
    line: "qwen3-check --vectors",
    comment: "pulumi up: vectors of fixed texts",
  });
  return JSON.parse(printed) as Vectors;
}
