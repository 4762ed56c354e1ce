import type { Context } from "../lib/commandLine";
import { describeError } from "../lib/text";
import { journal, type Pace, waitUntilWell } from "./incoming";
import { Instances } from "./instances";
import { type Job, jobFromEnv } from "./job";
import { drain } from "./outgoing";
import { compareVectors } from "./vectors";

export type { Pace };

const PACE: Pace = { lookMs: 5000, pollMs: 1000, settleMs: 60_000 };
const ENDED = new Set(["shutting-down", "terminated"]);

/** Ends well if the address can move to the new instance. */
export async function handOver(context: Context, tuning: Partial<Pace>): Promise<void> {
  const job = jobFromEnv(context.env);
  const instances = new Instances(job.aws);
  try {
    await prepareMove(job, instances, { ...PACE, ...tuning }, (line) => context.out(`${line}\n`));
  } finally {
    instances.close();
  }
}

async function prepareMove(
  job: Job,
  instances: Instances,
  pace: Pace,
  say: (line: string) => void,
): Promise<void> {
  const holder = await instances.holder(job.allocationId);
  if (holder === job.instanceId) {
    say(`${job.instanceId} has the address already`);
    return;
  }
  if (ENDED.has(await instances.state(job.instanceId))) {
    throw new Error(
      `${job.instanceId} was terminated, for example because an update before this one failed. ` +
        "The address stays where it is. To create another instance, run npx pulumi up again: it refreshes first.",
    );
  }
  if (holder === undefined || (await instances.state(holder)) !== "running") {
    say("no running instance has the address, so it moves at once; the verification waits for the instance");
    return;
  }
  await requireSuccessor(job, holder, instances, pace, say);
  await drainHolder(job, holder, pace, say);
}

/** @throws Error if the new instance is no successor. It is terminated then. */
async function requireSuccessor(
  job: Job,
  holder: string,
  instances: Instances,
  pace: Pace,
  say: (line: string) => void,
): Promise<void> {
  say(`${holder} has the address and serves until ${job.instanceId} does`);
  try {
    await waitUntilWell(job, pace, say);
    say(await compare(job, holder, pace));
  } catch (error) {
    const reason = await journal(job, pace);
    // Its capacity and quota are for the next attempt.
    await instances.terminate(job.instanceId);
    throw new Error(
      `${describeError(error)}\n${reason}\n${job.instanceId} is terminated. ${holder} keeps the address and was not changed. ` +
        "Undo or correct the change and run npx pulumi up; without a change, it tries the same again with another instance.",
    );
  }
}

/** The old instance may be of a version without these programs, or out of reach: that is no fault of the new one. */
async function compare(job: Job, holder: string, pace: Pace): Promise<string> {
  return await compareVectors(job, holder, pace).catch((error: Error) => {
    if (error.message.includes(` on ${holder}:`) || error.name === "InvalidInstanceId") {
      return `the vectors are not compared: ${describeError(error)}`;
    }
    throw error;
  });
}

async function drainHolder(job: Job, holder: string, pace: Pace, say: (line: string) => void): Promise<void> {
  say(`${holder} completes its requests, for up to ${job.drainSeconds} s`);
  try {
    const { open, seconds } = await drain(job, holder, pace);
    say(`after ${seconds} s: ${open} open connections, which the move cuts; the address moves now`);
  } catch (error) {
    say(`${holder} cannot complete its requests, so the move may cut some: ${describeError(error)}`);
  }
}
