import { setTimeout as sleep } from "node:timers/promises";
import { AutoScalingClient } from "@aws-sdk/client-auto-scaling";
import { EC2Client } from "@aws-sdk/client-ec2";
import type { CapacityRequest } from "../../components/compute/purchaseOption";
import { describeGroup, inService } from "../lib/autoScaling";
import { type AwsAccess, awsClientConfig } from "../lib/aws";
import { Failures } from "./failures";
import { refreshInstances, type Template } from "./refresh";

/** What is rolled out. */
export interface Rollout {
  /** Name of the Auto Scaling group. */
  group: string;
  /** What the group's instances must be launched from. */
  template: Template;
  /** Names of the alarms that end a replacement of instances. */
  alarms: string[];
  /** How long one instance may take to enter service. */
  readySeconds: number;
  /** What the instances are requested with. */
  capacity: CapacityRequest;
  aws: AwsAccess;
}

export interface RolloutTiming {
  pollMs: number;
  /** For a replaced instance to complete its requests, and for AWS to begin with the next one. */
  nextMs: number;
  progress(line: string): void;
}

/**
 * Replaces the instances of a group that has another template, and waits until it has all its instances in service. A
 * launch that fails is reported with advice and is no failure yet: the group tries another zone, and the same one again
 * later.
 *
 * @throws Error if no further instance enters service for as long as one may take, or if the replacement failed and was
 * rolled back. AWS's last reason and the advice on capacity are in its message.
 */
export async function rollOut(rollout: Rollout, timing: RolloutTiming): Promise<void> {
  const client = new AutoScalingClient(awsClientConfig(rollout.aws));
  const ec2 = new EC2Client(awsClientConfig(rollout.aws));
  try {
    const failures = new Failures(client, rollout.group, rollout.capacity, timing.progress);
    await refreshInstances({ client, ec2, ...rollout, ...timing, failures });
    await waitForInstances(client, rollout, timing, failures);
  } finally {
    client.destroy();
    ec2.destroy();
  }
}

async function waitForInstances(
  client: AutoScalingClient,
  { group: name, readySeconds }: Rollout,
  { pollMs, progress }: RolloutTiming,
  failures: Failures,
): Promise<void> {
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
