import * as autoscaling from "@pulumi/aws/autoscaling";
import * as cloudwatch from "@pulumi/aws/cloudwatch";
import * as ec2 from "@pulumi/aws/ec2";
import { local } from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import {
  type FleetMembership,
  type InstanceConfig,
  METRICS,
  METRICS_NAMESPACE,
  READY_HOOK,
} from "../bundle/instanceConfig";
import { renderUserData } from "../bundle/userData";
import { scriptCommand } from "../operations/scriptCommand";
import { stackTags } from "../tags";
import {
  accessVariables,
  type DeployerAccess,
  type InputsOf,
  type LaunchArgs,
  METADATA_OPTIONS,
  rootVolume,
} from "./launch";
import { marketOptions } from "./purchaseOption";
import { createInstanceRole, type InstanceRole } from "./role";

/** Root device of Ubuntu's AMIs. */
const ROOT_DEVICE = "/dev/sda1";

/**
 * How full the instances are, in percent of what they have shown they can compute: their tokens per second, and the
 * tokens that wait, as if they were to be computed within a minute.
 */
const FULLNESS = "100 * (rate + waiting / 60) / capacity";

/** Percent above which instances are added. */
const TARGET_FULLNESS = 70;

/** How full one instance less would be; no value with a single one. */
const FULLNESS_WITHOUT_ONE = `${FULLNESS} * instances / (instances - 1)`;

/** Percent below which one is removed: so far below the target that it is not added again. */
const SPARE_FULLNESS = 60;

/** Minutes for which an instance must have been superfluous. Traffic rises again within shorter ones. */
const SPARE_MINUTES = 60;

/** Between two removals: the load of the removed instance reaches the others, and the metrics. */
const REMOVAL_COOLDOWN_SECONDS = 600;

/** Two health checks of the load balancer after an instance enters service, and its first minute of traffic. */
const WARMUP_SECONDS = 60;

/** For which an alarm's condition must hold: a worker that is started anew is back sooner. */
const ALARM_MINUTES = 5;

/** Responses with 5xx above which a change is rolled back. */
const ERRORS_PERCENT = 5;

/** AWS's maximum for one heartbeat; the stack sends no second one. */
const LONGEST_HEARTBEAT_SECONDS = 7200;

export interface EmbeddingFleetArgs extends LaunchArgs {
  instancesMin: number;
  instancesMax: number;
  /** Subnets of the instances, one in each zone. */
  subnetIds: pulumi.Input<string>[];
  /** Whether instances get a public IP address, through which they download packages and weights. */
  publicAddresses: boolean;
  /** Target group of the load balancer. */
  targetGroupArn: pulumi.Input<string>;
  /** Dimensions of the load balancer's metrics. */
  balancerDimensions: { LoadBalancer: pulumi.Input<string>; TargetGroup: pulumi.Input<string> };
  /** What an instance is. {@link EmbeddingFleet} adds the name of the group. */
  config: InputsOf<InstanceConfig> & { fleet: FleetMembership };
  /** Maximum time from the launch of an instance to its first successful response. */
  readyWithinSeconds: number;
  /** How the deployer reaches AWS, for the command that waits for the group. */
  access: DeployerAccess;
}

/**
 * Instances like {@link EmbeddingInstance} in an Auto Scaling group behind a load balancer.
 *
 * An instance enters service only once it has reported that it is ready; scaling out, health replacement and updates
 * all wait for that. A changed launch template replaces the instances one after another, each new one before an old one,
 * and is saved in the group only then: AWS rolls back to the former one.
 */
export class EmbeddingFleet extends pulumi.ComponentResource {
  readonly autoScalingGroup: pulumi.Output<string>;
  /** Version of the launch template that the instances of the group must have. */
  readonly templateVersion: pulumi.Output<string>;

  constructor(name: string, args: EmbeddingFleetArgs, opts?: pulumi.ComponentResourceOptions) {
    super("qwen3-embedding-stack:index:EmbeddingFleet", name, {}, opts);
    const role = createInstanceRole(name, args, this);
    const template = this.createTemplate(name, args, role);
    this.templateVersion = template.latestVersion.apply(String);
    const group = this.createGroup(name, args, template, role);
    const hook = this.keepLifecycleHook(name, args, group);
    this.rollOut(name, args, group, template, [hook], this.createAlarms(name, args));
    if (args.config.fleet.publishesUtilization) {
      this.scale(name, group);
    }
    this.autoScalingGroup = group.name;
    this.registerOutputs({ autoScalingGroup: this.autoScalingGroup, templateVersion: this.templateVersion });
  }

  private createTemplate(
    name: string,
    args: EmbeddingFleetArgs,
    { name: autoScalingGroup, profile }: InstanceRole,
  ): ec2.LaunchTemplate {
    const tags = stackTags(name);
    return new ec2.LaunchTemplate(
      name,
      {
        namePrefix: `${name}-`,
        imageId: args.imageId,
        instanceType: args.instanceType,
        ...marketOptions(args),
        iamInstanceProfile: { arn: profile.arn },
        userData: pulumi
          .output({ ...args.config, autoScalingGroup })
          .apply((config) => Buffer.from(renderUserData(config as InstanceConfig)).toString("base64")),
        metadataOptions: METADATA_OPTIONS,
        networkInterfaces: [
          {
            deviceIndex: 0,
            associatePublicIpAddress: String(args.publicAddresses),
            securityGroups: [args.securityGroupId],
            deleteOnTermination: "true",
          },
        ],
        blockDeviceMappings: [
          {
            deviceName: ROOT_DEVICE,
            ebs: { ...rootVolume(args.rootVolumeGib), encrypted: "true", deleteOnTermination: "true" },
          },
        ],
        ebsOptimized: "true",
        tagSpecifications: [
          { resourceType: "instance", tags },
          { resourceType: "volume", tags },
        ],
        tags,
        updateDefaultVersion: true,
      },
      { parent: this },
    );
  }

  private createGroup(
    name: string,
    args: EmbeddingFleetArgs,
    template: ec2.LaunchTemplate,
    { name: groupName, permissions }: InstanceRole,
  ): autoscaling.Group {
    const { instancesMin: min, instancesMax: max } = args;
    // One new instance before each old one is terminated.
    const oneAtATime = {
      minHealthyPercentage: 100,
      maxHealthyPercentage: Math.min(200, Math.ceil((100 * (min + 1)) / min)),
    };
    return new autoscaling.Group(
      name,
      {
        // Instances know the name from their user data, which exists before the group.
        name: groupName,
        minSize: min,
        maxSize: max,
        vpcZoneIdentifiers: args.subnetIds,
        launchTemplate: { id: template.id, version: this.templateVersion },
        targetGroupArns: [args.targetGroupArn],
        // So that the first instances of the group have the hook too.
        initialLifecycleHooks: [{ name: READY_HOOK, ...readyHook(args) }],
        // A load balancer would end an instance whose worker starts anew. The instance itself reports when it is beyond
        // help (qwen3-health).
        healthCheckType: "EC2",
        // An instance in service has already responded. What it reports itself does not wait for this.
        healthCheckGracePeriod: WARMUP_SECONDS,
        defaultInstanceWarmup: WARMUP_SECONDS,
        instanceMaintenancePolicy: oneAtATime,
        capacityRebalance: args.purchaseOption === "spot",
        // rollOut waits: the provider fails at the first launch that fails, although the group tries the next zone.
        waitForCapacityTimeout: "0",
        ignoreFailedScalingActivities: true,
        tags: [{ key: "Name", value: name, propagateAtLaunch: false }],
      },
      {
        parent: this,
        // A changed hook would replace the group; keepLifecycleHook updates it in place. A changed template is saved in
        // the group once rollOut has replaced the instances: before, AWS's rollback would return to the new one.
        ignoreChanges: ["initialLifecycleHooks", "launchTemplate"],
        // The first boot reads secrets and the bundle through a network that must have its routes; a destroy deletes
        // the instances before them.
        dependsOn: [permissions, ...args.after],
        // Each instance first completes its requests.
        customTimeouts: { delete: "30m" },
      },
    );
  }

  /** The same hook as a resource, so that a changed timeout reaches an existing group. */
  private keepLifecycleHook(
    name: string,
    args: EmbeddingFleetArgs,
    group: autoscaling.Group,
  ): autoscaling.LifecycleHook {
    return new autoscaling.LifecycleHook(
      name,
      { name: READY_HOOK, autoscalingGroupName: group.name, ...readyHook(args) },
      { parent: this },
    );
  }

  /**
   * Replaces the instances when the template changes, and waits until the group has all of them: at first, and after a
   * change of what they are requested with.
   */
  private rollOut(
    name: string,
    args: EmbeddingFleetArgs,
    group: autoscaling.Group,
    template: ec2.LaunchTemplate,
    dependsOn: pulumi.Resource[],
    alarms: cloudwatch.MetricAlarm[],
  ): local.Command {
    return new local.Command(
      name,
      {
        create: scriptCommand("rollout"),
        environment: {
          ROLLOUT_AUTO_SCALING_GROUP: group.name,
          ROLLOUT_TEMPLATE_ID: template.id,
          ROLLOUT_TEMPLATE_VERSION: this.templateVersion,
          ROLLOUT_ALARMS: pulumi.all(alarms.map((alarm) => alarm.name)).apply((names) => names.join(" ")),
          ROLLOUT_READY_SECONDS: String(args.readyWithinSeconds),
          ROLLOUT_CAPACITY: JSON.stringify(args.capacity),
          ...accessVariables("ROLLOUT", args.access),
        },
        logging: local.Logging.StdoutAndStderr,
      },
      { parent: this, dependsOn, customTimeouts: { create: "24h", update: "24h" } },
    );
  }

  /** Alarms that roll back a replacement of instances. Each is in its state of alarm after five minutes. */
  private createAlarms(name: string, { balancerDimensions }: EmbeddingFleetArgs): cloudwatch.MetricAlarm[] {
    const balancer = (id: string, metricName: string, stat: string) => ({
      id,
      metric: {
        namespace: "AWS/ApplicationELB",
        metricName,
        dimensions: balancerDimensions,
        period: 60,
        stat,
      },
      returnData: false,
    });
    const common = {
      comparisonOperator: "GreaterThanThreshold",
      evaluationPeriods: ALARM_MINUTES,
      datapointsToAlarm: ALARM_MINUTES,
      treatMissingData: "notBreaching",
      tags: stackTags(name),
    };
    return [
      new cloudwatch.MetricAlarm(
        `${name}-unhealthy`,
        {
          ...common,
          alarmDescription: "An instance in service does not pass the load balancer's health checks",
          namespace: "AWS/ApplicationELB",
          metricName: "UnHealthyHostCount",
          dimensions: balancerDimensions,
          statistic: "Maximum",
          period: 60,
          threshold: 0,
        },
        { parent: this },
      ),
      new cloudwatch.MetricAlarm(
        `${name}-errors`,
        {
          ...common,
          alarmDescription: "Percentage of requests that instances answered with 5xx, overload included",
          threshold: ERRORS_PERCENT,
          metricQueries: [
            balancer("errors", "HTTPCode_Target_5XX_Count", "Sum"),
            balancer("requests", "RequestCount", "Sum"),
            { id: "share", label: "5xx in percent", expression: "100 * errors / requests", returnData: true },
          ],
        },
        { parent: this },
      ),
    ];
  }

  /**
   * Adds instances by target tracking, and removes them by an alarm with more patience. Target tracking would remove
   * after 15 minutes: with recorded traffic the number of instances then goes up and down all day
   * (test/unit/scaling.test.ts).
   */
  private scale(name: string, group: autoscaling.Group): void {
    const dimensions = { AutoScalingGroupName: group.name };
    const used = Object.entries(METRICS).map(([id, metricName]) => ({ id, metricName, stat: "Sum" }));
    new autoscaling.Policy(
      name,
      {
        autoscalingGroupName: group.name,
        policyType: "TargetTrackingScaling",
        estimatedInstanceWarmup: WARMUP_SECONDS,
        targetTrackingConfiguration: {
          targetValue: TARGET_FULLNESS,
          disableScaleIn: true,
          customizedMetricSpecification: {
            metrics: [
              ...used.map(({ id, metricName, stat }) => ({
                id,
                metricStat: {
                  metric: {
                    namespace: METRICS_NAMESPACE,
                    metricName,
                    dimensions: [{ name: "AutoScalingGroupName", value: group.name }],
                  },
                  stat,
                },
                returnData: false,
              })),
              { id: "fullness", label: "fullness in percent", expression: FULLNESS, returnData: true },
            ],
          },
        },
      },
      { parent: this },
    );
    const remove = new autoscaling.Policy(
      `${name}-remove`,
      {
        autoscalingGroupName: group.name,
        policyType: "SimpleScaling",
        adjustmentType: "ChangeInCapacity",
        scalingAdjustment: -1,
        cooldown: REMOVAL_COOLDOWN_SECONDS,
      },
      { parent: this },
    );
    const counted = { id: "instances", metricName: METRICS.capacity, stat: "SampleCount" };
    new cloudwatch.MetricAlarm(
      `${name}-remove`,
      {
        alarmDescription: "One instance less would be enough; removes it. In this state most of the day.",
        comparisonOperator: "LessThanThreshold",
        threshold: SPARE_FULLNESS,
        evaluationPeriods: SPARE_MINUTES,
        datapointsToAlarm: SPARE_MINUTES,
        treatMissingData: "notBreaching",
        metricQueries: [
          ...[...used, counted].map(({ id, metricName, stat }) => ({
            id,
            metric: { namespace: METRICS_NAMESPACE, metricName, dimensions, period: 60, stat },
            returnData: false,
          })),
          {
            id: "fullness",
            label: "fullness without one instance, in percent",
            expression: FULLNESS_WITHOUT_ONE,
            returnData: true,
          },
        ],
        alarmActions: [remove.arn],
        tags: stackTags(name),
      },
      { parent: this },
    );
  }
}

function readyHook({ readyWithinSeconds }: EmbeddingFleetArgs) {
  return {
    lifecycleTransition: "autoscaling:EC2_INSTANCE_LAUNCHING",
    heartbeatTimeout: Math.min(readyWithinSeconds, LONGEST_HEARTBEAT_SECONDS),
    // An instance that never becomes ready is terminated, and another one launched.
    defaultResult: "ABANDON",
  };
}
