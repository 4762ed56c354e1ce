import { createHash } from "node:crypto";
import * as ec2 from "@pulumi/aws/ec2";
import * as pulumi from "@pulumi/pulumi";
import type { InstanceConfig } from "../bundle/instanceConfig";
import { renderUserData } from "../bundle/userData";
import { stackTags } from "../tags";
import { createHandover, type HandoverArgs } from "./handover";
import { type LaunchArgs, METADATA_OPTIONS, rootVolume } from "./launch";
import { insufficientCapacityHook, isReserved, marketOptions } from "./purchaseOption";
import { createInstanceRole, type InstanceRole } from "./role";

export interface EmbeddingInstanceArgs extends LaunchArgs, Omit<HandoverArgs, "instanceId" | "allocationId"> {
  subnetId: pulumi.Input<string>;
  /** Elastic IP address that clients connect to. */
  allocationId: pulumi.Input<string>;
}

/**
 * A single EC2 instance with its own role and an encrypted volume, IMDSv2 only, reached through Session Manager instead
 * of SSH.
 *
 * Changed user data, which includes a changed bundle, is another instance with another name: it boots beside the one that
 * serves, gets the address once it serves too, and the old one is deleted at the end of the update. Because the names
 * differ, the engine deletes nothing if the update fails: undoing the change leaves the old instance as it was.
 */
export class EmbeddingInstance extends pulumi.ComponentResource {
  readonly instanceId: pulumi.Output<string>;

  constructor(name: string, args: EmbeddingInstanceArgs, opts?: pulumi.ComponentResourceOptions) {
    super("qwen3-embedding-stack:index:EmbeddingInstance", name, {}, opts);
    const role = createInstanceRole(name, args, this);
    const instance = this.createInstance(name, args, role);
    const handover = createHandover(name, { ...args, instanceId: instance.id }, this);
    const association = new ec2.EipAssociation(
      name,
      { allocationId: args.allocationId, instanceId: instance.id, allowReassociation: true },
      { parent: this, dependsOn: [handover] },
    );
    // Known once the instance has the address: until then, others concern themselves with the old one.
    this.instanceId = association.instanceId;
    this.registerOutputs({ instanceId: this.instanceId });
  }

  private createInstance(
    name: string,
    args: EmbeddingInstanceArgs,
    { profile, permissions }: InstanceRole,
  ): ec2.Instance {
    return new ec2.Instance(
      instanceName(name, args),
      {
        ami: args.imageId,
        instanceType: args.instanceType,
        ...marketOptions(args),
        subnetId: args.subnetId,
        vpcSecurityGroupIds: [args.securityGroupId],
        // Required until the Elastic IP address is associated: an instance first downloads packages.
        associatePublicIpAddress: true,
        iamInstanceProfile: profile.name,
        userData: pulumi.output(args.config).apply((config) => renderUserData(config as InstanceConfig)),
        // For what the name does not contain, such as another bucket. Otherwise EC2 stops and starts the instance and
        // never runs the new document.
        userDataReplaceOnChange: true,
        metadataOptions: METADATA_OPTIONS,
        rootBlockDevice: { ...rootVolume(args.rootVolumeGib), encrypted: true, deleteOnTermination: true },
        ebsOptimized: true,
        tags: stackTags(name),
        volumeTags: stackTags(name),
      },
      {
        parent: this,
        // In place, EC2 stops the instance, and may have no capacity to start it as another type.
        replaceOnChanges: ["instanceType"],
        // A reservation for one instance has no capacity for its successor.
        deleteBeforeReplace: isReserved(args) || undefined,
        // The first boot reads secrets and the bundle through a network that must have its routes; a destroy deletes
        // the instance before them.
        dependsOn: [permissions, ...args.after],
        hooks: { onError: [insufficientCapacityHook(name, args.capacity)] },
        customTimeouts: { create: "30m" },
      },
    );
  }
}

/**
 * The name of the instance that these arguments describe. It differs whenever they describe another instance, as far as
 * that is known before anything is created. A reservation for one instance has no capacity for two: its name remains, so
 * that the instance is replaced.
 */
function instanceName(name: string, args: EmbeddingInstanceArgs): string {
  if (isReserved(args)) {
    return name;
  }
  const config = Object.fromEntries(
    Object.entries(args.config).map(([key, value]) => [key, pulumi.Output.isInstance(value) ? key : value]),
  ) as unknown as InstanceConfig;
  // The image of a Stash is known only later; another one replaces the instance of this name.
  const imageId = pulumi.Output.isInstance(args.imageId) ? undefined : args.imageId;
  const described = [renderUserData(config), imageId, args.instanceType, marketOptions(args)];
  const digest = createHash("sha256").update(JSON.stringify(described)).digest("hex");
  return `${name}-${digest.slice(0, 8)}`;
}
