import * as pulumi from "@pulumi/pulumi";
import { resourcePolicy } from "./resources";

interface Statement {
  Sid?: string;
  Effect: string;
  Action: string | string[];
  Resource: string | string[];
  Condition?: Record<string, Record<string, unknown>>;
}

/** Actions without resource types, according to AWS's service authorization reference. */
const WITHOUT_RESOURCE = [
  /^ssm:UpdateInstanceInformation$/,
  /^ssmmessages:/,
  /^ec2messages:/,
  /^ec2:Describe/,
  /^autoscaling:Describe/,
];

const LEAST_PRIVILEGE = resourcePolicy(
  "least-privilege",
  "A role's policy names actions one by one, and resources wherever an action supports them.",
  ["aws:iam/rolePolicy:RolePolicy"],
  ({ policy }) => (typeof policy === "string" && policy.startsWith("{") ? problems(policy) : []),
);

const NO_MANAGED_POLICIES = resourcePolicy(
  "no-managed-policies",
  "No role has an AWS managed policy: AmazonSSMManagedInstanceCore, for example, can read every parameter of the account.",
  ["aws:iam/rolePolicyAttachment:RolePolicyAttachment", "aws:iam/role:Role"],
  ({ policyArn, managedPolicyArns }) =>
    [policyArn, ...((managedPolicyArns ?? []) as unknown[])]
      .filter((arn) => /^arn:[^:]*:iam::aws:policy\//.test(String(arn)))
      .map((arn) => `${String(arn)} is an AWS managed policy`),
);

const PERMISSIONS_BOUNDARY = resourcePolicy(
  "permissions-boundary",
  "Every role has the permissions boundary of the setting permissionsBoundary, if it is set.",
  ["aws:iam/role:Role"],
  ({ permissionsBoundary }) => {
    const wanted = new pulumi.Config().get("permissionsBoundary");
    return !wanted || permissionsBoundary === wanted
      ? []
      : [`permissionsBoundary is ${permissionsBoundary ?? "not set"}; the setting requires ${wanted}`];
  },
);

export const rightsPolicies = [LEAST_PRIVILEGE, NO_MANAGED_POLICIES, PERMISSIONS_BOUNDARY];

function problems(policy: string): string[] {
  const { Statement } = JSON.parse(policy) as { Statement: Statement[] };
  return Statement.filter(({ Effect }) => Effect === "Allow").flatMap(
    ({ Sid, Action, Resource, Condition }) => {
      const actions = [Action].flat();
      const everywhere = [Resource].flat().includes("*");
      const conditioned = Condition !== undefined;
      return [
        ...actions.filter((action) => action.includes("*")).map((action) => `${Sid} allows ${action}`),
        ...actions
          .filter(
            (action) => everywhere && !conditioned && !WITHOUT_RESOURCE.some((each) => each.test(action)),
          )
          .map((action) => `${Sid} allows ${action} on every resource`),
      ];
    },
  );
}
