import { setTimeout as sleep } from "node:timers/promises";
import {
  type AutoScalingClient,
  type AutoScalingGroup,
  CancelInstanceRefreshCommand,
  type InstanceRefresh,
  RollbackInstanceRefreshCommand,
  StartInstanceRefreshCommand,
} from "@aws-sdk/client-auto-scaling";
import { DescribeLaunchTemplateVersionsCommand, type EC2Client } from "@aws-sdk/client-ec2";
import { describeGroup, isRunning, lastRefresh } from "../lib/autoScaling";
import type { Failures } from "./failures";

/** After the last instance was replaced, for which the alarms can still roll back. They need five minutes to notice. */
const BAKE_SECONDS = 600;

/** A version of a launch template. */
export interface Template {
  id: string;
  /** Its number. AWS cannot roll back to $Latest or $Default. */
  version: string;
}

interface Refresh {
  client: AutoScalingClient;
  ec2: EC2Client;
  /** Name of the group. */
  group: string;
  template: Template;
  alarms: string[];
  readySeconds: number;
  pollMs: number;
  nextMs: number;
  progress(line: string): void;
  failures: Failures;
}

/**
 * Replaces the instances one after another if the group has another template, and returns once AWS has saved the new one
 * in the group. Until then the group keeps the former one, which is what a rollback returns to: the provider would first
 * save the new one (terraform-provider-aws #34189).
 *
 * A replacement for the same template that is in progress, because an update was interrupted, is continued. One for
 * another template is cancelled.
 *
 * @throws Error if AWS rolled back, or if nothing was replaced for too long, after a rollback by this function
 */
export async function refreshInstances(refresh: Refresh): Promise<void> {
  const { client, group: name, template, progress } = refresh;
  const running = await lastRefresh(client, name);
  if (running && isRunning(running)) {
    if (isFor(running, template) && running.Status !== "RollbackInProgress") {
      progress("instances are being replaced already, by an earlier update");
      return complete(refresh);
    }
    await endOther(refresh, running);
  }
  const group = await describeGroup(client, name);
  if (has(group, template)) {
    return;
  }
  if (await sameContents(refresh, group)) {
    progress(
      `the group's version ${group.LaunchTemplate?.Version} of the launch template has the same contents`,
    );
    return;
  }
  await start(refresh, group, refresh.alarms);
  await complete(refresh);
}

function has({ LaunchTemplate: saved }: AutoScalingGroup, { id, version }: Template): boolean {
  return saved?.LaunchTemplateId === id && saved.Version === version;
}

function isFor({ DesiredConfiguration: desired }: InstanceRefresh, { id, version }: Template): boolean {
  return desired?.LaunchTemplate?.LaunchTemplateId === id && desired.LaunchTemplate.Version === version;
}

/** Whether the group's instances are launched as the template says, such as after a change that was reverted. */
async function sameContents({ ec2, template }: Refresh, group: AutoScalingGroup): Promise<boolean> {
  const { LaunchTemplateId: id, Version: version } = group.LaunchTemplate ?? {};
  if (id !== template.id || version === undefined) {
    return false;
  }
  const { LaunchTemplateVersions: found = [] } = await ec2.send(
    new DescribeLaunchTemplateVersionsCommand({
      LaunchTemplateId: id,
      Versions: [version, template.version],
    }),
  );
  const [one, other] = found.map(({ LaunchTemplateData }) => JSON.stringify(LaunchTemplateData));
  return one !== undefined && one === other;
}

async function start(
  { client, group: name, template, progress }: Refresh,
  {
    InstanceMaintenancePolicy: policy,
    DefaultInstanceWarmup: warmup,
    LaunchTemplate: saved,
  }: AutoScalingGroup,
  alarms: string[],
): Promise<void> {
  await client.send(
    new StartInstanceRefreshCommand({
      AutoScalingGroupName: name,
      Strategy: "Rolling",
      DesiredConfiguration: {
        LaunchTemplate: { LaunchTemplateId: template.id, Version: template.version },
      },
      Preferences: {
        MinHealthyPercentage: policy?.MinHealthyPercentage,
        MaxHealthyPercentage: policy?.MaxHealthyPercentage,
        InstanceWarmup: warmup,
        SkipMatching: true,
        AutoRollback: true,
        BakeTime: BAKE_SECONDS,
        ...(alarms.length > 0 && { AlarmSpecification: { Alarms: alarms } }),
      },
    }),
  );
  progress(
    `instances are replaced one after another, version ${saved?.Version} of the launch template by ${template.version}; ` +
      "the group keeps the former one until all are replaced",
  );
}

/** Cancels a replacement for another template, and waits for its end; of a rollback only the latter. */
async function endOther(refresh: Refresh, running: InstanceRefresh): Promise<void> {
  const { client, group: name, progress } = refresh;
  if (running.Status === "RollbackInProgress") {
    progress("an earlier change is being rolled back");
  } else if (running.Status !== "Cancelling") {
    progress("the replacement for an earlier change is cancelled");
    await client.send(new CancelInstanceRefreshCommand({ AutoScalingGroupName: name }));
  }
  const ended = await follow(refresh);
  if (isRunning(ended)) {
    throw new Error(`the earlier replacement has not ended: ${describe(ended)}. Run pulumi up again later.`);
  }
}

/** Follows a replacement to its end. @throws Error if it did not succeed */
async function complete(refresh: Refresh, withAlarms = true): Promise<void> {
  const { client, group: name, failures, progress } = refresh;
  let ended = await follow(refresh);
  let why = ended.StatusReason ?? "no reason given";
  if (isRunning(ended)) {
    why = `no further instance was replaced within ${limitMs(refresh) / 1000} s`;
    progress(`${why}: rolling back`);
    await client.send(new RollbackInstanceRefreshCommand({ AutoScalingGroupName: name }));
    ended = await follow(refresh);
  }
  if (ended.Status === "Successful") {
    return;
  }
  // An alarm that is raised before anything was replaced is about the instances that are to be replaced.
  if (withAlarms && !isRunning(ended) && /alarm/i.test(why) && (ended.PercentageComplete ?? 0) === 0) {
    progress(`${why}. Nothing was replaced yet, so the change is not its cause: continuing without alarms`);
    await start(refresh, await describeGroup(client, name), []);
    return complete(refresh, false);
  }
  const group = await describeGroup(client, name);
  throw new Error(
    `the replacement of the instances ended as ${ended.Status}: ${why}. The group has version ` +
      `${group.LaunchTemplate?.Version} of its launch template, and not ${refresh.template.version}. ` +
      `${failures.last()} Fix the cause or revert the change, then run pulumi up.`,
  );
}

/** Reports the replacement until it ends, or until it has not changed for a time. @returns its last state */
async function follow(given: Refresh): Promise<InstanceRefresh> {
  const { client, group: name, pollMs, progress, failures } = given;
  let told = { state: "", at: Date.now() };
  for (;;) {
    const refresh = (await lastRefresh(client, name))!;
    await failures.report();
    const state = describe(refresh);
    if (state !== told.state) {
      progress(state);
      told = { state, at: Date.now() };
    }
    if (!isRunning(refresh) || Date.now() - told.at + pollMs > limitMs(given)) {
      return refresh;
    }
    await sleep(pollMs);
  }
}

/** For which a replacement may show no change. */
function limitMs({ readySeconds, nextMs }: Refresh): number {
  return readySeconds * 1000 + nextMs;
}

function describe({ Status, PercentageComplete = 0, InstancesToUpdate }: InstanceRefresh): string {
  const left = InstancesToUpdate ? `, ${InstancesToUpdate} to replace` : "";
  return `replacement of instances: ${Status}, ${PercentageComplete} %${left}`;
}
