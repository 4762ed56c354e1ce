import { runOnInstance } from "../lib/systemsManager";
import { excerpt } from "../lib/text";
import { cosine, lowest, SAME } from "../verify/vectors";
import type { Pace } from "./incoming";
import type { Job } from "./job";

const LINE = "/usr/local/sbin/qwen3-check --vectors";

/** What `qwen3-check --vectors` prints. */
interface Vectors {
  /** The settings that determine the vectors. */
  model: Record<string, string>;
  /** Of the same texts in the same order. */
  vectors: number[][];
}

/**
 * Compares the vectors that both instances return for the same texts, unless they serve different models.
 *
 * @returns what was compared
 * @throws Error if the vectors differ
 */
export async function compareVectors(job: Job, holder: string, pace: Pace): Promise<string> {
  const [old, now] = await Promise.all([vectorsOf(job, holder, pace), vectorsOf(job, job.instanceId, pace)]);
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

async function vectorsOf({ aws }: Job, instanceId: string, { pollMs }: Pace): Promise<Vectors> {
  const comment = "pulumi up: vectors of fixed texts";
  const result = await runOnInstance(aws, { instanceId, line: LINE, comment, timeoutMs: 120_000, pollMs });
  const { status, stdout, stderr } = result;
  if (status !== "Success") {
    throw new Error(`${LINE} on ${instanceId}: ${excerpt(stderr || stdout) || status}`);
  }
  return JSON.parse(stdout) as Vectors;
}
