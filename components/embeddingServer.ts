import * as ec2 from "@pulumi/aws/ec2";
import * as iam from "@pulumi/aws/iam";
import * as ssm from "@pulumi/aws/ssm";
import * as pulumi from "@pulumi/pulumi";
import type { MachineConfig } from "./machine/config";
import { renderUserData } from "./machine/userData";

/** AWS's public parameter for the Ubuntu 24.04 image with NVIDIA's open driver and CUDA. */
const AMI_PARAMETER =
  "/aws/service/deeplearning/ami/x86_64/base-oss-nvidia-driver-gpu-ubuntu-24.04/latest/ami-id";

export interface EmbeddingServerArgs {
  instanceType: string;
  subnetId: pulumi.Input<string>;
  securityGroupId: pulumi.Input<string>;
  /** Elastic IP that clients connect to. */
  allocationId: pulumi.Input<string>;
  /** Secrets that the machine may read, and no others. */
  secretArns: pulumi.Input<string>[];
  bucketArn: pulumi.Input<string>;
  /** What the machine is; see {@link MachineConfig}. */
  machine: pulumi.Inputs & { [K in keyof MachineConfig]: pulumi.Input<MachineConfig[K]> };
  rootVolumeGib: number;
  /** What has to be there before the machine boots, besides its inputs. */
  after: pulumi.Resource[];
}

/**
 * The machine: an EC2 instance with a role of its own, reached through Session Manager instead of SSH,
 * IMDSv2 only, on an encrypted volume. Changed user data, which includes a changed bundle, is a new machine.
 */
export class EmbeddingServer extends pulumi.ComponentResource {
  readonly instanceId: pulumi.Output<string>;

  constructor(name: string, args: EmbeddingServerArgs, opts?: pulumi.ComponentResourceOptions) {
    super("qwen3-embedding-stack:index:EmbeddingServer", name, {}, opts);
    const role = this.createRole(name);
    const permissions = this.grantPermissions(name, role, args);
    const profile = new iam.InstanceProfile(name, { role: role.name }, { parent: this });
    const instance = this.createInstance(name, args, profile, permissions);
    new ec2.EipAssociation(
      name,
      { allocationId: args.allocationId, instanceId: instance.id, allowReassociation: true },
      { parent: this },
    );
    this.instanceId = instance.id;
    this.registerOutputs({ instanceId: this.instanceId });
  }

  private createRole(name: string): iam.Role {
    return new iam.Role(
      name,
      {
        description: "What the embedding server may do",
        assumeRolePolicy: JSON.stringify({
          Version: "2012-10-17",
          Statement: [
            { Effect: "Allow", Principal: { Service: "ec2.amazonaws.com" }, Action: "sts:AssumeRole" },
          ],
        }),
      },
      { parent: this },
    );
  }

  private grantPermissions(name: string, role: iam.Role, args: EmbeddingServerArgs): iam.RolePolicy {
    return new iam.RolePolicy(
      name,
      {
        role: role.id,
        policy: pulumi.jsonStringify({
          Version: "2012-10-17",
          Statement: pulumi
            .all([args.machine.modelSource, args.bucketArn])
            .apply(([source, bucketArn]) => [
              readSecrets(args),
              readArtifacts(args),
              SESSION_MANAGER,
              ...readModel(source, partition(bucketArn)),
            ]),
        }),
      },
      { parent: this },
    );
  }

  private createInstance(
    name: string,
    args: EmbeddingServerArgs,
    profile: iam.InstanceProfile,
    permissions: iam.RolePolicy,
  ): ec2.Instance {
    const image = ssm.getParameterOutput({ name: AMI_PARAMETER }, { parent: this });
    return new ec2.Instance(
      name,
      {
        ami: image.insecureValue,
        instanceType: args.instanceType,
        subnetId: args.subnetId,
        vpcSecurityGroupIds: [args.securityGroupId],
        // Needed until the Elastic IP is associated: the first thing a machine does is to fetch packages.
        associatePublicIpAddress: true,
        iamInstanceProfile: profile.name,
        userData: pulumi.output(args.machine).apply((machine) => renderUserData(machine as MachineConfig)),
        // Otherwise EC2 stops and starts the machine and never runs the new document.
        userDataReplaceOnChange: true,
        metadataOptions: { httpEndpoint: "enabled", httpTokens: "required", httpPutResponseHopLimit: 1 },
        rootBlockDevice: {
          volumeType: "gp3",
          volumeSize: args.rootVolumeGib,
          // Reading 8 GB of weights and 11 GB of libraries is what a start waits for.
          throughput: 500,
          iops: 4000,
          encrypted: true,
          deleteOnTermination: true,
        },
        ebsOptimized: true,
        tags: { Name: name },
        volumeTags: { Name: name },
      },
      {
        parent: this,
        // AWS moves "latest" with every image; a machine is replaced on purpose only.
        ignoreChanges: ["ami"],
        // The first boot reads secrets and the bundle at once, through a network that has its routes; on the way down
        // the machine goes before them.
        dependsOn: [permissions, ...args.after],
        customTimeouts: { create: "30m" },
      },
    );
  }
}

type Statement = pulumi.Inputs;

/** ListSecretVersionIds tells which version is current and since when, which is what the grace is measured from. */
function readSecrets(args: EmbeddingServerArgs): Statement {
  return {
    Sid: "ReadOwnSecrets",
    Effect: "Allow",
    Action: ["secretsmanager:GetSecretValue", "secretsmanager:ListSecretVersionIds"],
    Resource: args.secretArns,
  };
}

function readArtifacts(args: EmbeddingServerArgs): Statement {
  return {
    Sid: "ReadBundleAndIndex",
    Effect: "Allow",
    Action: ["s3:GetObject"],
    Resource: [
      pulumi.interpolate`${args.bucketArn}/bundles/*`,
      pulumi.interpolate`${args.bucketArn}/config/*`,
    ],
  };
}

/**
 * What the agent needs for Session Manager and Run Command; AWS's managed policy
 * AmazonSSMManagedInstanceCore also lets it read every parameter of the account.
 */
const SESSION_MANAGER: Statement = {
  Sid: "SessionManager",
  Effect: "Allow",
  Action: [
    "ssm:UpdateInstanceInformation",
    "ssmmessages:CreateControlChannel",
    "ssmmessages:CreateDataChannel",
    "ssmmessages:OpenControlChannel",
    "ssmmessages:OpenDataChannel",
    "ec2messages:AcknowledgeMessage",
    "ec2messages:DeleteMessage",
    "ec2messages:FailMessage",
    "ec2messages:GetEndpoint",
    "ec2messages:GetMessages",
    "ec2messages:SendReply",
  ],
  Resource: "*",
};

/** `aws`, or that of China, of the GovCloud, …: the one that the stack's own bucket is in. */
function partition(arn: string): string {
  return arn.split(":")[1]!;
}

/** Weights from S3 are read with the machine's role; Hugging Face needs no permission. */
function readModel(source: string, partition: string): Statement[] {
  const match = /^s3:\/\/([^/]+)\/(.+?)\/?$/.exec(source);
  if (!match) {
    return [];
  }
  const [, bucket, prefix] = match;
  return [
    {
      Sid: "ListModel",
      Effect: "Allow",
      Action: ["s3:ListBucket"],
      Resource: `arn:${partition}:s3:::${bucket}`,
      Condition: { StringLike: { "s3:prefix": [`${prefix}/*`] } },
    },
    {
      Sid: "ReadModel",
      Effect: "Allow",
      Action: ["s3:GetObject"],
      Resource: `arn:${partition}:s3:::${bucket}/${prefix}/*`,
    },
  ];
}
