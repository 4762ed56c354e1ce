import * as iam from "@pulumi/aws/iam";
import * as scheduler from "@pulumi/aws/scheduler";
import * as pulumi from "@pulumi/pulumi";

export interface ScheduleArgs {
  instanceId: pulumi.Input<string>;
  /** Any ARN of the same account and region; partition, region and account are taken from it. */
  siblingArn: pulumi.Input<string>;
  /** When to stop the instance: `MINUTES HOURS DAY MONTH WEEKDAY YEAR`, EventBridge's cron fields. */
  stop: string;
  /** When to start it; never if omitted. */
  start?: string;
  /** IANA time zone of both, such as Europe/Berlin. */
  timezone: string;
  /** ARN of the managed policy that limits the role. */
  permissionsBoundary?: string;
}

/**
 * Stops and starts an instance on a schedule, with a role that allows exactly this.
 *
 * A stopped instance keeps its volume and its address, and only these are billed. Started again, it serves without
 * installing anything.
 */
export class Schedule extends pulumi.ComponentResource {
  constructor(name: string, args: ScheduleArgs, opts?: pulumi.ComponentResourceOptions) {
    super("qwen3-embedding-stack:index:Schedule", name, {}, opts);
    const role = this.createRole(name, args);
    this.createSchedule(name, "stop", args.stop, role, args);
    if (args.start) {
      this.createSchedule(name, "start", args.start, role, args);
    }
    this.registerOutputs({});
  }

  private createRole(name: string, args: ScheduleArgs): iam.Role {
    const owner = pulumi.output(args.siblingArn).apply(parts);
    const role = new iam.Role(
      `${name}-schedule`,
      {
        description: "Stops and starts the embedding server on its schedule",
        assumeRolePolicy: pulumi.jsonStringify({
          Version: "2012-10-17",
          Statement: [
            {
              Effect: "Allow",
              Principal: { Service: "scheduler.amazonaws.com" },
              Action: "sts:AssumeRole",
              // Schedules of other accounts cannot assume the role.
              Condition: { StringEquals: { "aws:SourceAccount": owner.account } },
            },
          ],
        }),
        permissionsBoundary: args.permissionsBoundary,
      },
      { parent: this },
    );
    new iam.RolePolicy(
      `${name}-schedule`,
      {
        role: role.id,
        policy: pulumi.jsonStringify({
          Version: "2012-10-17",
          Statement: [
            {
              Sid: "StopAndStartInstance",
              Effect: "Allow",
              Action: ["ec2:StartInstances", "ec2:StopInstances"],
              Resource: pulumi.interpolate`arn:${owner.partition}:ec2:${owner.region}:${owner.account}:instance/${args.instanceId}`,
            },
          ],
        }),
      },
      { parent: this },
    );
    return role;
  }

  private createSchedule(
    name: string,
    action: "stop" | "start",
    cron: string,
    role: iam.Role,
    args: ScheduleArgs,
  ): scheduler.Schedule {
    const { partition } = pulumi.output(args.siblingArn).apply(parts);
    return new scheduler.Schedule(
      `${name}-${action}`,
      {
        description: `${action === "stop" ? "Stops" : "Starts"} the embedding server`,
        scheduleExpression: `cron(${cron})`,
        scheduleExpressionTimezone: args.timezone,
        flexibleTimeWindow: { mode: "OFF" },
        target: {
          arn: pulumi.interpolate`arn:${partition}:scheduler:::aws-sdk:ec2:${action}Instances`,
          roleArn: role.arn,
          input: pulumi.jsonStringify({ InstanceIds: [args.instanceId] }),
        },
      },
      { parent: this },
    );
  }
}

function parts(arn: string): { partition: string; region: string; account: string } {
  const [, partition, , region, account] = arn.split(":");
  return { partition: partition!, region: region!, account: account! };
}
