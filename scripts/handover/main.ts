import { setTimeout as sleep } from "node:timers/promises";
import type { Context } from "../lib/commandLine";
import { describeError } from "../lib/text";
import { checkAllowed, journal, NotAllowed, type Pace, waitUntilWell } from "./incoming";
import { type InstanceState, Instances } from "./instances";
import { type Job, jobFromEnv } from "./job";
import { drain, resume } from "./outgoing";
import { compareVectors } from "./vectors";

export type { Pace };

const PACE: Pace = { lookMs: 5000, pollMs: 1000, settleMs: 60_000 };
const ENDED = new Set(["shutting-down", "terminated"]);
/** EC2 ends an instance with eight GPUs in minutes. */
const TERMINATION_MS = 10 * 60_000;

/** Moves the address to the new instance, if that serves. */
export async function handOver(context: Context, tuning: Partial<Pace>): Promise<void> {
  const job = jobFromEnv(context.env);
  const instances = new Instances(job.aws);
  const pace = { ...PACE, ...tuning };
  try {
    await new Handover(job, instances, pace, (line) => context.out(`${line}\n`)).run();
  } finally {
    instances.close();
  }
}

class Handover {
  constructor(
    private readonly job: Job,
    private readonly instances: Instances,
    private readonly pace: Pace,
    private readonly say: (line: string) => void,
  ) {}

  async run(): Promise<void> {
    const { instanceId, allocationId } = this.job;
    const holder = await this.instances.holder(allocationId);
    if (holder === instanceId) {
      this.say(`${instanceId} has the address already`);
      return;
    }
    const outgoing = holder === undefined ? undefined : await this.instances.state(holder);
    if (holder === undefined || ENDED.has(outgoing!.name)) {
      this.say("no instance has the address, so it moves at once; the verification waits for the instance");
      return;
    }
    const incoming = await this.instances.state(instanceId);
    if (ENDED.has(incoming.name)) {
      throw new Error(
        `${instanceId} was terminated, for example because an update before this one failed. ` +
          "The address stays where it is. To create another instance, run npx pulumi up again: it refreshes first.",
      );
    }
    await this.requireSuccessor(holder, incoming, outgoing!);
    await this.move(holder, outgoing!);
  }

  /** @throws Error if the new instance is no successor. It is terminated then. */
  private async requireSuccessor(
    holder: string,
    incoming: InstanceState,
    outgoing: InstanceState,
  ): Promise<void> {
    const { job, pace, say } = this;
    // An older instance has had the address before, and gets it back because a change is undone.
    const isNew = incoming.launched > outgoing.launched;
    say(`${holder} has the address until ${job.instanceId} serves`);
    try {
      await waitUntilWell(job, this.instances, pace, say);
      if (isNew && outgoing.name === "running") {
        say(await compareVectors(job, holder, pace));
      }
    } catch (error) {
      if (error instanceof NotAllowed) {
        throw new Error(`${error.message}. Both instances run, and ${holder} keeps the address.`);
      }
      const reason = [describeError(error), await journal(job, pace)];
      if (isNew) {
        reason.push(await this.terminate());
      }
      throw new Error(
        `${reason.join("\n")}\n${holder} keeps the address and was not changed. Undo or correct the change and run npx ` +
          "pulumi up; without a change, it tries the same again.",
      );
    }
  }

  /** Its capacity and quota are for the next attempt. @returns what became of it */
  private async terminate(): Promise<string> {
    const { instanceId } = this.job;
    try {
      await this.instances.terminate(instanceId);
      const deadline = Date.now() + TERMINATION_MS;
      while ((await this.instances.state(instanceId)).name !== "terminated" && Date.now() < deadline) {
        await sleep(this.pace.lookMs);
      }
      return `${instanceId} is terminated.`;
    } catch (error) {
      return `${instanceId} runs and is billed: it cannot be terminated: ${describeError(error)}.`;
    }
  }

  /** Completes the old instance's requests and moves the address. */
  private async move(holder: string, outgoing: InstanceState): Promise<void> {
    const { job, pace, say } = this;
    if (outgoing.name === "running") {
      say(`${holder} completes its requests, for up to ${job.drainSeconds} s`);
      try {
        const { open, seconds } = await drain(job, holder, pace);
        say(`after ${seconds} s: ${open} open connections, which the move cuts`);
      } catch (error) {
        checkAllowed(error as Error);
        say(`${holder} cannot complete its requests, so the move may cut some: ${describeError(error)}`);
      }
    }
    try {
      await this.instances.associate(job.allocationId, job.instanceId);
    } catch (error) {
      await resume(job, holder, pace).catch(() => undefined);
      throw error;
    }
    say(`${job.instanceId} has the address`);
  }
}
