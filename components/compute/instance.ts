import * as ec2 from "@pulumi/aws/ec2";
import * as pulumi from "@pulumi/pulumi";
import type { MachineConfig } from "../bundle/instanceConfig";
import { renderUserData } from "../bundle/userData";
import { latestImage, type MachineInputs, METADATA_OPTIONS, rootVolume } from "./launch";
import { type Capacity, isReserved, marketOptions } from "./purchaseOption";
import { createInstanceRole, type InstanceRole } from "./role";

export interface EmbeddingInstanceArgs {
  instanceType: string;
  /** How AWS rents the machine out; on demand without it. */
  capacity?: Capacity;
  /** Told when the machine cannot be created; see capacity.ts. */
  onError?: pulumi.ErrorHook[];
  subnetId: pulumi.Input<string>;
  securityGroupId: pulumi.Input<string>;
  /** Elastic IP that clients connect to. */
  allocationId: pulumi.Input<string>;
  /** Secrets that the machine may read, and no others. */
  secretArns: pulumi.Input<string>[];
  bucketArn: pulumi.Input<string>;
  /** What the machine is; see {@link MachineConfig}. */
  machine: MachineInputs<MachineConfig>;
  rootVolumeGib: number;
  /** An image of one's own instead of AWS's latest for GPUs. */
  imageId?: string;
  /** What has to be there before the machine boots, besides its inputs. */
  after: pulumi.Resource[];
}

/**
 * The machine: an EC2 instance with a role of its own, reached through Session Manager instead of SSH,
 * IMDSv2 only, on an encrypted volume. Changed user data, which includes a changed bundle, is a new machine.
 */
export class EmbeddingInstance extends pulumi.ComponentResource {
  readonly instanceId: pulumi.Output<string>;

  constructor(name: string, args: EmbeddingInstanceArgs, opts?: pulumi.ComponentResourceOptions) {
    super("qwen3-embedding-stack:index:EmbeddingInstance", name, {}, opts);
    const { modelSource, packageMirror } = args.machine;
    const role = createInstanceRole(name, { ...args, modelSource, packageMirror }, this);
    const instance = this.createInstance(name, args, role);
    new ec2.EipAssociation(
      name,
      { allocationId: args.allocationId, instanceId: instance.id, allowReassociation: true },
      { parent: this },
    );
    this.instanceId = instance.id;
    this.registerOutputs({ instanceId: this.instanceId });
  }

  private createInstance(
    name: string,
    args: EmbeddingInstanceArgs,
    { profile, permissions }: InstanceRole,
  ): ec2.Instance {
    const capacity = args.capacity ?? { kind: "on-demand" };
    return new ec2.Instance(
      name,
      {
        ami: args.imageId ?? latestImage(this),
        instanceType: args.instanceType,
        ...marketOptions(capacity),
        subnetId: args.subnetId,
        vpcSecurityGroupIds: [args.securityGroupId],
        // Needed until the Elastic IP is associated: the first thing a machine does is to fetch packages.
        associatePublicIpAddress: true,
        iamInstanceProfile: profile.name,
        userData: pulumi.output(args.machine).apply((machine) => renderUserData(machine as MachineConfig)),
        // Otherwise EC2 stops and starts the machine and never runs the new document.
        userDataReplaceOnChange: true,
        metadataOptions: METADATA_OPTIONS,
        rootBlockDevice: { ...rootVolume(args.rootVolumeGib), encrypted: true, deleteOnTermination: true },
        ebsOptimized: true,
        tags: { Name: name },
        volumeTags: { Name: name },
      },
      {
        parent: this,
        // AWS moves "latest" with every image; a machine is replaced on purpose only.
        ignoreChanges: args.imageId ? [] : ["ami"],
        // A reservation of one machine has no room for its successor beside it.
        deleteBeforeReplace: isReserved(capacity) || undefined,
        // The first boot reads secrets and the bundle at once, through a network that has its routes; on the way down
        // the machine goes before them.
        dependsOn: [permissions, ...args.after],
        hooks: { onError: args.onError ?? [] },
        customTimeouts: { create: "30m" },
      },
    );
  }
}
