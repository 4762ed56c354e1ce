import { setTimeout as sleep } from "node:timers/promises";
import { AutoScalingClient } from "@aws-sdk/client-auto-scaling";
import { type CapacityRequest, capacityAdvice } from "../../components/compute/purchaseOption";
import { describeGroup, failedActivities, inService, reasonOf } from "../lib/autoScaling";
import { type AwsAccess, awsClientConfig } from "../lib/aws";

/** Activities before this may be of the group's creation, which precedes this program. */
const BEFORE_MS = 60_000;

/** What is rolled out. */
export interface Rollout {
  /** Name of the Auto Scaling group. */
  group: string;
  /** How long one instance may take to enter service. */
  readySeconds: number;
  /** What the instances are requested with. */
  capacity: CapacityRequest;
  aws: AwsAccess;
}

export interface RolloutTiming {
  pollMs: number;
  progress(line: string): void;
}

/**
 * Waits until the group has all its instances in service. A launch that fails is reported with advice and is no failure
 * yet: the group tries another zone, and the same one again later.
 *
 * @throws Error if no further instance enters service for as long as one may take. AWS's last reason and the advice on
 * capacity are in its message.
 */
export async function rollOut(rollout: Rollout, timing: RolloutTiming): Promise<void> {
  const client = new AutoScalingClient(awsClientConfig(rollout.aws));
  try {
    await waitForInstances(client, rollout, timing);
  } finally {
    client.destroy();
  }
}

async function waitForInstances(
  client: AutoScalingClient,
  { group: name, readySeconds, capacity }: Rollout,
  { pollMs, progress }: RolloutTiming,
): Promise<void> {
  const failures = new Failures(client, name, capacity, progress);
  let best = { ready: -1, at: Date.now() };
  for (;;) {
    const group = await describeGroup(client, name);
    const { DesiredCapacity: desired = 0 } = group;
    const ready = inService(group).length;
    if (ready >= desired) {
      progress(`${ready} of ${desired} instances are in service`);
      return;
    }
    if (ready > best.ready) {
      progress(`waiting: ${ready} of ${desired} instances are in service`);
      best = { ready, at: Date.now() };
    }
    await failures.report();
    if (Date.now() - best.at + pollMs > readySeconds * 1000) {
      throw new Error(
        `${ready} of ${desired} instances are in service, and no other has entered service within ${readySeconds} s. ` +
          failures.last(),
      );
    }
    await sleep(pollMs);
  }
}

/** The scaling activities that failed, each reported once. */
class Failures {
  readonly #since = new Date(Date.now() - BEFORE_MS);
  readonly #reported = new Set<string>();
  #last: string | undefined;

  constructor(
    private readonly client: AutoScalingClient,
    private readonly group: string,
    private readonly capacity: CapacityRequest,
    private readonly progress: (line: string) => void,
  ) {}

  async report(): Promise<void> {
    // Oldest first.
    for (const activity of (await failedActivities(this.client, this.group, this.#since)).reverse()) {
      const reason = reasonOf(activity);
      const advice = capacityAdvice(reason, this.capacity);
      this.#last = advice ? `${advice} AWS returned: ${reason}` : `AWS returned: ${reason}`;
      // A group that finds no capacity repeats the same reason for every attempt.
      if (!this.#reported.has(reason)) {
        this.#reported.add(reason);
        this.progress(`an instance was not launched, the group tries again: ${this.#last}`);
      }
    }
  }

  /** The last failure, or where to look. */
  last(): string {
    return (
      this.#last ??
      `No launch failed: see how far the boot has progressed with aws ssm start-session --target INSTANCE, then ` +
        `journalctl --namespace='*' -u 'qwen3-*'; the instances: aws autoscaling describe-scaling-activities ` +
        `--auto-scaling-group-name ${this.group}`
    );
  }
}
