import {
  type Activity,
  type AutoScalingClient,
  type AutoScalingGroup,
  DescribeAutoScalingGroupsCommand,
  DescribeInstanceRefreshesCommand,
  DescribeScalingActivitiesCommand,
  type InstanceRefresh,
} from "@aws-sdk/client-auto-scaling";
import { excerpt } from "./text";

/** Failed, or ended by the lifecycle hook of an instance that never became ready. */
const UNSUCCESSFUL = new Set(["Failed", "Cancelled"]);
const RUNNING = new Set(["Pending", "InProgress", "Cancelling", "RollbackInProgress", "Baking"]);

/** @throws Error if there is no such group. */
export async function describeGroup(client: AutoScalingClient, name: string): Promise<AutoScalingGroup> {
  const { AutoScalingGroups: [group] = [] } = await client.send(
    new DescribeAutoScalingGroupsCommand({ AutoScalingGroupNames: [name] }),
  );
  if (!group) {
    throw new Error(`there is no Auto Scaling group ${name}: run npx pulumi refresh, then npx pulumi up`);
  }
  return group;
}

/** The instance refresh that began last, if there was one. */
export async function lastRefresh(
  client: AutoScalingClient,
  name: string,
): Promise<InstanceRefresh | undefined> {
  const { InstanceRefreshes } = await client.send(
    new DescribeInstanceRefreshesCommand({ AutoScalingGroupName: name, MaxRecords: 1 }),
  );
  return InstanceRefreshes?.[0];
}

export function isRunning({ Status }: InstanceRefresh): boolean {
  return RUNNING.has(Status ?? "");
}

export function inService({ Instances = [] }: AutoScalingGroup) {
  return Instances.filter(
    ({ LifecycleState, HealthStatus }) => LifecycleState === "InService" && HealthStatus === "Healthy",
  );
}

/** The activities without success that began since a time, newest first: of the last hundred. */
export async function failedActivities(
  client: AutoScalingClient,
  name: string,
  since: Date,
): Promise<Activity[]> {
  const { Activities = [] } = await client.send(
    new DescribeScalingActivitiesCommand({ AutoScalingGroupName: name, MaxRecords: 100 }),
  );
  return Activities.filter(
    ({ StatusCode, StartTime }) => UNSUCCESSFUL.has(StatusCode ?? "") && StartTime! >= since,
  );
}

/** Why an activity did not succeed, in AWS's words. */
export function reasonOf({ StatusMessage, Description, StatusCode }: Activity): string {
  return excerpt(StatusMessage || `${Description}: ${StatusCode}`, 400);
}
