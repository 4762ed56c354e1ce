import * as iam from "@pulumi/aws/iam";
import * as pulumi from "@pulumi/pulumi";
import { METRICS_NAMESPACE } from "../bundle/instanceConfig";

export interface InstanceRoleArgs {
  /** Secrets that the machine may read, and no others. */
  secretArns: pulumi.Input<string>[];
  bucketArn: pulumi.Input<string>;
  /** `hf://…`, which needs no permission, or `s3://BUCKET/PREFIX`. */
  modelSource: pulumi.Input<string>;
  /** `s3://BUCKET/PREFIX` with packages, where they do not come from PyPI. */
  packageMirror?: pulumi.Input<string | undefined>;
  /** What a machine of a fleet does besides; see {@link FleetMembership}. */
  fleet?: { autoScalingGroup: string; publishesUtilization: boolean };
}

export interface InstanceRole {
  profile: iam.InstanceProfile;
  /** What a machine has to wait for: without it the profile may do nothing. */
  permissions: iam.RolePolicy;
}

/** The role of a machine: what the features in use need, each statement with its reason. */
export function createInstanceRole(
  name: string,
  args: InstanceRoleArgs,
  parent: pulumi.Resource,
): InstanceRole {
  const role = new iam.Role(
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
    { parent },
  );
  const permissions = new iam.RolePolicy(
    name,
    {
      role: role.id,
      policy: pulumi.jsonStringify({
        Version: "2012-10-17",
        Statement: pulumi
          .all([args.modelSource, args.packageMirror, args.bucketArn, role.arn])
          .apply(([model, packages, bucketArn, roleArn]) => [
            readSecrets(args),
            readArtifacts(args),
            SESSION_MANAGER,
            // Hugging Face and PyPI need no permission.
            ...readPrefix("Model", model, partition(bucketArn)),
            ...readPrefix("Packages", packages ?? "", partition(bucketArn)),
            ...(args.fleet ? fleetStatements(args.fleet, roleArn) : []),
          ]),
      }),
    },
    { parent },
  );
  return { profile: new iam.InstanceProfile(name, { role: role.name }, { parent }), permissions };
}

type Statement = pulumi.Inputs;

/** ListSecretVersionIds tells which version is current and since when, which is what the grace is measured from. */
function readSecrets(args: InstanceRoleArgs): Statement {
  return {
    Sid: "ReadOwnSecrets",
    Effect: "Allow",
    Action: ["secretsmanager:GetSecretValue", "secretsmanager:ListSecretVersionIds"],
    Resource: args.secretArns,
  };
}

function readArtifacts(args: InstanceRoleArgs): Statement {
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

/** What comes from S3 is read with the machine's role, as far as its prefix goes. */
function readPrefix(what: string, source: string, partition: string): Statement[] {
  const match = /^s3:\/\/([^/]+)\/(.+?)\/?$/.exec(source);
  if (!match) {
    return [];
  }
  const [, bucket, prefix] = match;
  return [
    {
      Sid: `List${what}`,
      Effect: "Allow",
      Action: ["s3:ListBucket"],
      Resource: `arn:${partition}:s3:::${bucket}`,
      Condition: { StringLike: { "s3:prefix": [`${prefix}/*`] } },
    },
    {
      Sid: `Read${what}`,
      Effect: "Allow",
      Action: ["s3:GetObject"],
      Resource: `arn:${partition}:s3:::${bucket}/${prefix}/*`,
    },
  ];
}

/** A machine of a fleet says when it is ready and, where the fleet grows and shrinks, how busy its GPUs are. */
function fleetStatements(fleet: NonNullable<InstanceRoleArgs["fleet"]>, roleArn: string): Statement[] {
  const [, partitionName, , , account] = roleArn.split(":");
  return [
    {
      // Of its own group alone, in whichever region; the middle part is an ID that AWS makes up.
      Sid: "CompleteLaunch",
      Effect: "Allow",
      Action: ["autoscaling:CompleteLifecycleAction"],
      Resource: `arn:${partitionName}:autoscaling:*:${account}:autoScalingGroup:*:autoScalingGroupName/${fleet.autoScalingGroup}`,
    },
    ...(fleet.publishesUtilization
      ? [
          {
            // PutMetricData knows no resources; the namespace is what it can be held to.
            Sid: "PublishUtilization",
            Effect: "Allow",
            Action: ["cloudwatch:PutMetricData"],
            Resource: "*",
            Condition: { StringEquals: { "cloudwatch:namespace": METRICS_NAMESPACE } },
          },
        ]
      : []),
  ];
}
