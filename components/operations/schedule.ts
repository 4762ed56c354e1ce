import * as iam from "@pulumi/aws/iam";
import * as scheduler from "@pulumi/aws/scheduler";
import * as pulumi from "@pulumi/pulumi";

export interface ScheduleArgs {
  instanceId: pulumi.Input<string>;
  /** An ARN of this stack's, for partition, region and account. */
  siblingArn: pulumi.Input<string>;
  /** When the machine stops, `MINUTES HOURS DAY MONTH WEEKDAY YEAR` as EventBridge writes cron. */
  stop: string;
  /** When it starts again; never by itself without it. */
  start?: string;
  /** IANA name of the zone that the times are in, such as Europe/Berlin. */
  timezone: string;
}

/**
 * Stops the machine at times, and starts it at others, with a role that may do this to this machine alone.
 *
 * A stopped machine keeps its disk and its address, and costs what these cost. Started, it serves again without
 * anything being installed.
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
              // No other account's schedule may borrow the role.
              Condition: { StringEquals: { "aws:SourceAccount": owner.account } },
            },
          ],
        }),
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
              Sid: "StopAndStartTheMachine",
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
