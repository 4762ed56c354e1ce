import { runOnInstance } from "../lib/systemsManager";
import { excerpt } from "../lib/text";
import type { Pace } from "./incoming";
import type { Job } from "./job";

/** What `qwen3-drain` prints. */
export interface Drained {
  /** Connections that the move cuts. */
  open: number;
  seconds: number;
}

/** Completes the requests of the instance that has the address. Its new connections wait from then on. */
export async function drain(job: Job, holder: string, { pollMs }: Pace): Promise<Drained> {
  const line = `/usr/local/sbin/qwen3-drain --seconds ${job.drainSeconds}`;
  const { status, stdout, stderr } = await runOnInstance(job.aws, {
    instanceId: holder,
    line,
    comment: "pulumi up: complete the requests before the address moves",
    timeoutMs: (job.drainSeconds + 60) * 1000,
    // New connections wait until the address has moved.
    pollMs: Math.min(pollMs, 500),
  });
  if (status !== "Success") {
    throw new Error(`${line} on ${holder}: ${excerpt(stderr || stdout) || status}`);
  }
  return JSON.parse(stdout) as Drained;
}

/** The old instance serves as before, because the address has not moved. */
export async function resume(job: Job, holder: string, { pollMs }: Pace): Promise<void> {
  const line = "/usr/local/sbin/qwen3-drain --end";
  await runOnInstance(job.aws, {
    ...{ instanceId: holder, line, timeoutMs: 60_000, pollMs },
    comment: "pulumi up: the address has not moved",
  });
}
