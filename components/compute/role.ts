import * as iam from "@pulumi/aws/iam";
import * as pulumi from "@pulumi/pulumi";
import { type FleetMembership, METRICS_NAMESPACE } from "../bundle/instanceConfig";
import { parseS3Prefix } from "../settings/formats";
import type { LaunchArgs } from "./launch";

type InstanceRoleArgs = Pick<LaunchArgs, "secretArns" | "bucketArn" | "config" | "permissionsBoundary">;

export interface InstanceRole {
  /**
   * The role's name, which Pulumi makes unique in the account. A fleet's Auto Scaling group has it too: instances and
   * permissions need the name of the group before the group exists.
   */
  name: pulumi.Output<string>;
  profile: iam.InstanceProfile;
  /** An instance must wait for these: without them the profile allows nothing. */
  permissions: iam.RolePolicy;
}

/** The role of an instance: the permissions that the enabled features require, each statement with its reason. */
export function createInstanceRole(
  name: string,
  args: InstanceRoleArgs,
  parent: pulumi.Resource,
): InstanceRole {
  const role = new iam.Role(
    name,
    {
      description: "Permissions of the embedding instances",
      assumeRolePolicy: JSON.stringify({
        Version: "2012-10-17",
        Statement: [
          { Effect: "Allow", Principal: { Service: "ec2.amazonaws.com" }, Action: "sts:AssumeRole" },
        ],
      }),
      permissionsBoundary: args.permissionsBoundary,
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
          .all([
            args.config.modelSource,
            args.config.packageMirror,
            args.bucketArn,
            role.arn,
            role.name,
            args.config.fleet,
          ])
          .apply(([model, packages, bucketArn, roleArn, roleName, fleet]) => [
            readSecrets(args),
            readArtifacts(args),
            SESSION_MANAGER,
            // Hugging Face and PyPI require no permission.
            ...readPrefix("Model", model, partition(bucketArn)),
            ...readPrefix("Packages", packages ?? "", partition(bucketArn)),
            ...(fleet ? fleetStatements(fleet, roleArn, roleName) : []),
          ]),
      }),
    },
    { parent },
  );
  const profile = new iam.InstanceProfile(name, { role: role.name }, { parent });
  return { name: role.name, profile, permissions };
}

type Statement = pulumi.Inputs;

/** ListSecretVersionIds returns which version is current and since when: the grace period begins then. */
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
 * For Session Manager and Run Command. AWS's managed policy AmazonSSMManagedInstanceCore would also allow reading every
 * parameter of the account.
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

/** `aws`, or the partition of China, GovCloud, …: that of the service's own bucket. */
function partition(arn: string): string {
  return arn.split(":")[1]!;
}

/** Reading one prefix in S3. */
function readPrefix(what: string, source: string, partition: string): Statement[] {
  const location = parseS3Prefix(source);
  if (!location) {
    return [];
  }
  const { bucket, prefix } = location;
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

/** An instance of a fleet reports when it is ready, when it is beyond help and, if the fleet scales, how full it is. */
function fleetStatements(fleet: FleetMembership, roleArn: string, groupName: string): Statement[] {
  const [, partitionName, , , account] = roleArn.split(":");
  return [
    {
      // Of its own group only, in any region; the middle part is an ID that AWS generates. IAM has no condition for the
      // instance, so it may report those beside it too.
      Sid: "ReportReadinessAndHealth",
      Effect: "Allow",
      Action: ["autoscaling:CompleteLifecycleAction", "autoscaling:SetInstanceHealth"],
      Resource: `arn:${partitionName}:autoscaling:*:${account}:autoScalingGroup:*:autoScalingGroupName/${groupName}`,
    },
    ...(fleet.publishesUtilization
      ? [
          {
            // PutMetricData has no resources; only the namespace can be restricted.
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
