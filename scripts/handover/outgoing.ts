import type { Pace } from "./incoming";
import type { Job } from "./job";
import { runProgram } from "./remote";

/** What `qwen3-drain` prints. */
export interface Drained {
  /** Connections that the move cuts. */
  open: number;
  seconds: number;
}

/** Completes the requests of the instance that has the address. Its new connections wait from then on. */
export async function drain(job: Job, holder: string, { pollMs }: Pace): Promise<Drained> {
  const printed = await runProgram(job, {
    instanceId: holder,
    line: `qwen3-drain --seconds ${job.drainSeconds}`,
    comment: "pulumi up: complete the requests before the address moves",
    timeoutMs: (job.drainSeconds + 60) * 1000,
    // New connections wait until the address has moved.
    pollMs: Math.min(pollMs, 500),
  });
  return JSON.parse(printed) as Drained;
}

/** The old instance serves as before, because the address has not moved. */
export async function resume(job: Job, holder: string, { pollMs }: Pace): Promise<void> {
  await runProgram(job, {
    ...{ instanceId: holder, line: "qwen3-drain --end", timeoutMs: 60_000, pollMs },
    comment: "pulumi up: the address has not moved",
  });
}
