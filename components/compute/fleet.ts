import * as autoscaling from "@pulumi/aws/autoscaling";
import * as ec2 from "@pulumi/aws/ec2";
import * as pulumi from "@pulumi/pulumi";
import {
  type MachineConfig,
  METRICS_NAMESPACE,
  READY_HOOK,
  UTILIZATION_METRIC,
} from "../bundle/instanceConfig";
import { renderUserData } from "../bundle/userData";
import { latestImage, type MachineInputs, METADATA_OPTIONS, rootVolume } from "./launch";
import { type Capacity, marketOptions } from "./purchaseOption";
import { createInstanceRole, type InstanceRole } from "./role";

/** The root device of Ubuntu's images. */
const ROOT_DEVICE = "/dev/sda1";

/** Share of the time that the GPUs compute, in percent, which the fleet grows or shrinks towards. */
const TARGET_UTILIZATION = 70;

/** Two health checks after a machine is in service, and its first minute of load. */
const WARMUP_SECONDS = 60;

/** AWS waits no longer for one sign of life; the stack asks for no second one. */
const LONGEST_HEARTBEAT_SECONDS = 7200;

export interface EmbeddingFleetArgs {
  instances: { min: number; max: number };
  instanceType: string;
  capacity: Capacity;
  /** Told when no machine can be created; see capacity.ts. */
  onError?: pulumi.ErrorHook[];
  /** Subnets that machines may be in, one a zone. */
  subnetIds: pulumi.Input<string>[];
  securityGroupId: pulumi.Input<string>;
  /** Whether machines get a public address, through which they fetch packages and weights. */
  publicAddresses: boolean;
  /** Of the load balancer. */
  targetGroupArn: pulumi.Input<string>;
  /** Secrets that the machines may read, and no others. */
  secretArns: pulumi.Input<string>[];
  bucketArn: pulumi.Input<string>;
  /** What a machine is; see {@link MachineConfig}. Its `fleet` says how the group is named. */
  machine: MachineInputs<MachineConfig> & { fleet: NonNullable<MachineConfig["fleet"]> };
  rootVolumeGib: number;
  /** An image of one's own instead of AWS's latest for GPUs. */
  imageId?: string;
  /** How long a machine may take from its start to its first answer. */
  readyWithinSeconds: number;
  /** What has to be there before a machine boots, besides its inputs. */
  after: pulumi.Resource[];
}

/**
 * Machines as {@link EmbeddingInstance} has one, in an Auto Scaling group behind a load balancer.
 *
 * A machine is in service once it has said that it answers, and not before: growing, healing and changing all wait for
 * that. A changed template replaces the machines one after another, each new one before an old one.
 */
export class EmbeddingFleet extends pulumi.ComponentResource {
  readonly autoScalingGroup: pulumi.Output<string>;
  /** Version of the launch template that the group's machines are to have. */
  readonly templateVersion: pulumi.Output<string>;

  constructor(name: string, args: EmbeddingFleetArgs, opts?: pulumi.ComponentResourceOptions) {
    super("qwen3-embedding-stack:index:EmbeddingFleet", name, {}, opts);
    const { modelSource, packageMirror, fleet } = args.machine;
    const role = createInstanceRole(name, { ...args, modelSource, packageMirror, fleet }, this);
    const template = this.createTemplate(name, args, role);
    this.templateVersion = template.latestVersion.apply(String);
    const group = this.createGroup(name, args, template, role);
    this.keepHook(name, args, group);
    if (fleet.publishesUtilization) {
      this.trackUtilization(name, group);
    }
    this.autoScalingGroup = group.name;
    this.registerOutputs({ autoScalingGroup: this.autoScalingGroup, templateVersion: this.templateVersion });
  }

  private createTemplate(
    name: string,
    args: EmbeddingFleetArgs,
    { profile }: InstanceRole,
  ): ec2.LaunchTemplate {
    const tags = { Name: name };
    return new ec2.LaunchTemplate(
      name,
      {
        namePrefix: `${name}-`,
        imageId: args.imageId ?? latestImage(this),
        instanceType: args.instanceType,
        ...marketOptions(args.capacity),
        iamInstanceProfile: { arn: profile.arn },
        userData: pulumi
          .output(args.machine)
          .apply((machine) => Buffer.from(renderUserData(machine as MachineConfig)).toString("base64")),
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
      // AWS moves "latest" with every image; machines are replaced on purpose only.
      { parent: this, ignoreChanges: args.imageId ? [] : ["imageId"] },
    );
  }

  private createGroup(
    name: string,
    args: EmbeddingFleetArgs,
    template: ec2.LaunchTemplate,
    { permissions }: InstanceRole,
  ): autoscaling.Group {
    const { min, max } = args.instances;
    // A new machine first, then an old one less: room for one more than there are.
    const oneAtATime = {
      minHealthyPercentage: 100,
      maxHealthyPercentage: Math.min(200, Math.ceil((100 * (min + 1)) / min)),
    };
    return new autoscaling.Group(
      name,
      {
        // Machines know it from their user data, which is there before the group.
        name: args.machine.fleet.autoScalingGroup,
        minSize: min,
        maxSize: max,
        vpcZoneIdentifiers: args.subnetIds,
        launchTemplate: { id: template.id, version: this.templateVersion },
        targetGroupArns: [args.targetGroupArn],
        // There for the first machines already, which the group begins with itself.
        initialLifecycleHooks: [{ name: READY_HOOK, ...readyHook(args) }],
        healthCheckType: "ELB",
        // No longer than the first checks take: a machine in service has answered already.
        healthCheckGracePeriod: WARMUP_SECONDS,
        defaultInstanceWarmup: WARMUP_SECONDS,
        instanceMaintenancePolicy: oneAtATime,
        instanceRefresh: {
          strategy: "Rolling",
          preferences: {
            ...oneAtATime,
            instanceWarmup: String(WARMUP_SECONDS),
            skipMatching: true,
            autoRollback: true,
          },
        },
        capacityRebalance: args.capacity.kind === "spot",
        // In service as the group sees it, and healthy as the load balancer does.
        minElbCapacity: min,
        waitForCapacityTimeout: `${args.readyWithinSeconds}s`,
        tags: [{ key: "Name", value: name, propagateAtLaunch: false }],
      },
      {
        parent: this,
        // The provider would replace the group for them; keepHook changes the hook in place.
        ignoreChanges: ["initialLifecycleHooks"],
        // The first boot reads secrets and the bundle at once, through a network that has its routes; on the way down
        // the machines go before them.
        dependsOn: [permissions, ...args.after],
        hooks: { onError: args.onError ?? [] },
        // Each machine first finishes what it has begun.
        customTimeouts: { delete: "30m" },
      },
    );
  }

  /** The same hook once more, by which a changed limit reaches a group that is there. */
  private keepHook(
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

  private trackUtilization(name: string, group: autoscaling.Group): autoscaling.Policy {
    return new autoscaling.Policy(
      name,
      {
        autoscalingGroupName: group.name,
        policyType: "TargetTrackingScaling",
        estimatedInstanceWarmup: WARMUP_SECONDS,
        targetTrackingConfiguration: {
          targetValue: TARGET_UTILIZATION,
          customizedMetricSpecification: {
            namespace: METRICS_NAMESPACE,
            metricName: UTILIZATION_METRIC,
            statistic: "Average",
            metricDimensions: [{ name: "AutoScalingGroupName", value: group.name }],
          },
        },
      },
      { parent: this },
    );
  }
}

function readyHook({ readyWithinSeconds }: EmbeddingFleetArgs) {
  return {
    lifecycleTransition: "autoscaling:EC2_INSTANCE_LAUNCHING",
    heartbeatTimeout: Math.min(readyWithinSeconds, LONGEST_HEARTBEAT_SECONDS),
    // A machine that never answers is ended, and another one begun.
    defaultResult: "ABANDON",
  };
}
