import { setTimeout as sleep } from "node:timers/promises";
import { AutoScalingClient, type AutoScalingGroup, type InstanceRefresh } from "@aws-sdk/client-auto-scaling";
import { DescribeLaunchTemplatesCommand, EC2Client } from "@aws-sdk/client-ec2";
import {
  describeGroup,
  failedActivities,
  inService,
  isRunning,
  lastRefresh,
  reasonOf,
} from "../lib/autoScaling";
import { type AwsAccess, awsClientConfig } from "../lib/aws";
import { describeError } from "../lib/text";
import type { Row } from "./row";

/** The row on the Auto Scaling group, where there is one. */
export const FLEET = "every instance of the fleet is current";
/** How far back failed scaling activities are a reason for a fleet that is not complete. */
const RECENT_MS = 3600_000;

export interface FleetOptions {
  timeoutMs: number;
  pollMs: number;
  progress(line: string): void;
}

export interface Fleet {
  row: Row;
  /** IDs of the instances in service. */
  instances: string[];
}

/** Waits until a changed fleet has no old instance left: until then, old instances respond in place of new ones. */
export async function waitForFleet(group: string, access: AwsAccess, options: FleetOptions): Promise<Fleet> {
  const client = new AutoScalingClient(awsClientConfig(access));
  const ec2 = new EC2Client(awsClientConfig(access));
  try {
    return await poll(client, ec2, group, options);
  } catch (error) {
    const next =
      "these credentials need autoscaling:DescribeAutoScalingGroups, DescribeInstanceRefreshes and DescribeScalingActivities, and ec2:DescribeLaunchTemplates";
    return failed(describeError(error), next, []);
  } finally {
    client.destroy();
    ec2.destroy();
  }
}

async function poll(
  client: AutoScalingClient,
  ec2: EC2Client,
  name: string,
  options: FleetOptions,
): Promise<Fleet> {
  const deadline = Date.now() + options.timeoutMs;
  let told = "";
  for (;;) {
    const group = await describeGroup(client, name);
    const refresh = await lastRefresh(client, name);
    const instances = inService(group).map(({ InstanceId }) => InstanceId!);
    const state = waitingFor(group, refresh);
    if (state === undefined) {
      const failedRefresh = refresh && refresh.Status !== "Successful" && (await isWanted(ec2, refresh));
      return outcome(group, failedRefresh ? refresh : undefined, instances);
    }
    if (state !== told) {
      options.progress(`waiting: ${state}`);
      told = state;
    }
    if (Date.now() + options.pollMs > deadline) {
      const seconds = Math.round(options.timeoutMs / 1000);
      const evidence = options.timeoutMs > 0 ? `not within ${seconds} s; last: ${state}` : state;
      return failed(`${evidence}${await lastFailure(client, name)}`, activities(name), instances);
    }
    await sleep(options.pollMs);
  }
}

/** AWS's reason of the last scaling activity that failed, if one did lately. */
async function lastFailure(client: AutoScalingClient, name: string): Promise<string> {
  const [activity] = await failedActivities(client, name, new Date(Date.now() - RECENT_MS));
  return activity ? `; AWS: ${reasonOf(activity)}` : "";
}

/** Returns undefined once nothing is in progress. */
function waitingFor(group: AutoScalingGroup, refresh: InstanceRefresh | undefined): string | undefined {
  if (refresh && isRunning(refresh)) {
    return `instances are being replaced, ${refresh.PercentageComplete ?? 0} % (${refresh.Status})`;
  }
  const { DesiredCapacity: desired = 0 } = group;
  const ready = inService(group).length;
  return ready < desired ? `${ready} of ${desired} instances are in service` : undefined;
}

/** Whether a replacement was for what the launch template still says: a change may have been reverted since. */
async function isWanted(
  ec2: EC2Client,
  { DesiredConfiguration: desired }: InstanceRefresh,
): Promise<boolean> {
  const { LaunchTemplateId: id, Version: version } = desired?.LaunchTemplate ?? {};
  if (id === undefined) {
    return true;
  }
  const { LaunchTemplates: [template] = [] } = await ec2.send(
    new DescribeLaunchTemplatesCommand({ LaunchTemplateIds: [id] }),
  );
  return String(template?.LatestVersionNumber) === version;
}

/** @param failedRefresh the last replacement, if it did not succeed and was not reverted */
function outcome(
  group: AutoScalingGroup,
  failedRefresh: InstanceRefresh | undefined,
  instances: string[],
): Fleet {
  if (failedRefresh) {
    const { Status, StatusReason = "no reason given" } = failedRefresh;
    const evidence = `the last replacement ended as ${Status}: ${StatusReason}`;
    return failed(evidence, activities(group.AutoScalingGroupName!), instances);
  }
  const version = group.LaunchTemplate?.Version;
  const old = inService(group).filter(({ LaunchTemplate }) => LaunchTemplate?.Version !== version);
  if (old.length > 0) {
    return failed(
      `not of version ${version} of the launch template: ${old.map(({ InstanceId }) => InstanceId).join(", ")}`,
      `aws autoscaling start-instance-refresh --auto-scaling-group-name ${group.AutoScalingGroupName}`,
      instances,
    );
  }
  const evidence = `${instances.length} in service, version ${version} of the launch template`;
  return { row: { name: FLEET, about: "service", ok: true, evidence }, instances };
}

/** Without an instance, nothing about keys can be checked. */
function failed(evidence: string, next: string, instances: string[]): Fleet {
  const about = instances.length === 0 ? "keys" : "service";
  return { row: { name: FLEET, about, ok: false, evidence, next }, instances };
}

function activities(name: string): string {
  return `see what went wrong: aws autoscaling describe-scaling-activities --auto-scaling-group-name ${name}`;
}
