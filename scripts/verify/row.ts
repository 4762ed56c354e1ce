import { describeError } from "../lib/text";

/** The result of one check. */
export interface Row {
  name: string;
  /** null: skipped on purpose, with the reason as evidence. */
  ok: boolean | null;
  evidence: string;
  /** What to do about a failure or a warning. */
  next?: string;
  /** Passed, but there is something to do soon. */
  warning?: true;
}

/** One check. */
export interface Check {
  name: string;
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

export async function runCheck({ name, next, run }: Check): Promise<Row> {
  try {
    const result = await run();
    return result instanceof Skipped
      ? { name, ok: null, evidence: result.reason }
      : { name, ok: true, evidence: result };
  } catch (error) {
    return { name, ok: false, evidence: describeError(error), next };
  }
}
