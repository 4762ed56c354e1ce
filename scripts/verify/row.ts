import { describeError } from "../lib/text";

/** What a row is about: the keys and who gets in, or the rest of the service. */
export type About = "keys" | "service";

/** Which failed rows fail the run. */
export type FailOn = "all" | "keys";

/** What to do about a worker's fault. */
export const WORKER_LOG = "check the workers: journalctl --namespace='*' -u 'qwen3-embed@*' on the instance";

/** The result of one check. */
export interface Row {
  name: string;
  about?: About;
  /** null: skipped on purpose, with the reason as evidence. */
  ok: boolean | null;
  /** Whether a failure does not fail the run. */
  warning?: boolean;
  evidence: string;
  /** What to do about a failure or a warning. */
  next?: string;
}

/** One check. */
export interface Check {
  name: string;
  about: About;
  next: string;
  /** Resolves to the evidence or a {@link Skipped}; rejects with the problem. */
  run(): Promise<string | Skipped>;
}

export class Skipped {
  constructor(readonly reason: string) {}
}

/** Fails a check with what was seen instead. */
export function expect(condition: boolean, seen: string): asserts condition {
  if (!condition) {
    throw new Error(seen);
  }
}

export async function runCheck({ name, about, next, run }: Check): Promise<Row> {
  try {
    const result = await run();
    return result instanceof Skipped
      ? { name, about, ok: null, evidence: result.reason }
      : { name, about, ok: true, evidence: result };
  } catch (error) {
    return { name, about, ok: false, evidence: describeError(error), next };
  }
}

/** Makes a failed row that is not about keys a warning, where only rows about keys fail the run. */
export function withWarning(row: Row, failOn: FailOn): Row {
  return failOn === "keys" && row.ok === false && row.about !== "keys" ? { ...row, warning: true } : row;
}
