import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type ProviderEmulator, startProviderEmulator } from "./emulator";
import { DEPLOYER_POLICIES } from "./policies";
import { type Answer, element, type Send, sender, tagged } from "./requests";

/** What exists: the stack's own (`own…`), and what belongs to others in the same account (`foreign…`). */
interface Scene {
  ownInstance: string;
  foreignInstance: string;
  ownGroup: string;
  foreignGroup: string;
  ownTemplate: string;
  foreignTemplate: string;
  foreignAddress: string;
  /** A rule of `foreignGroup`. */
  foreignRule: string;
  ownAddress: string;
  /** With the stack's tag, but its second version has the instance profile of another role. */
  subvertedTemplate: string;
  subnet: string;
  boundary: string;
  zone: string;
}

const IMAGE = "ami-12c6146b";
const TRUST = JSON.stringify({
  Version: "2012-10-17",
  Statement: [{ Effect: "Allow", Principal: { Service: "ec2.amazonaws.com" }, Action: "sts:AssumeRole" }],
});
const EVERYTHING = JSON.stringify({
  Version: "2012-10-17",
  Statement: [{ Effect: "Allow", Action: "*", Resource: "*" }],
});
const OTHER_BOUNDARY = "arn:aws:iam::aws:policy/AdministratorAccess";
const TOKEN = "00000000-0000-4000-8000-000000000000";
const OWN_ROLE = "qwen3-embedding-own";
const OWN_SECRET = "qwen3-embedding-test-default-a1b2c3";
const FOREIGN_SECRET = "payments";
const FOREIGN_LISTENER =
  "arn:aws:elasticloadbalancing:us-east-1:123456789012:listener/app/website/0123456789abcdef/0123456789abcdef";

let emulator: ProviderEmulator;
let deployer: Send;
let scene: Scene;

beforeAll(async () => {
  emulator = await startProviderEmulator(Object.values(DEPLOYER_POLICIES).map(({ file }) => file));
  deployer = sender(emulator.url, "deployer");
  scene = await prepare(sender(emulator.url, "administrator"), emulator);
});

afterAll(() => emulator?.stop());

/** Creates what belongs to the stack, and what does not. */
async function prepare(administrator: Send, { given }: ProviderEmulator): Promise<Scene> {
  const made = async (operation: string, parameters: Record<string, string>, name: string) =>
    element(await successful(administrator, operation, parameters), name);
  const subnet = Object.values(given.subnets)[0]!;
  const instance = {
    ImageId: IMAGE,
    InstanceType: "t3.micro",
    MinCount: "1",
    MaxCount: "1",
    SubnetId: subnet,
  };
  const run = (more: Record<string, string>) =>
    made("ec2:RunInstances", { ...instance, ...more }, "instanceId");
  const group = (name: string, more: Record<string, string> = {}) =>
    made(
      "ec2:CreateSecurityGroup",
      { GroupName: name, GroupDescription: name, VpcId: given.vpcId, ...more },
      "groupId",
    );
  const template = (name: string, profile: string, more: Record<string, string> = {}) =>
    made(
      "ec2:CreateLaunchTemplate",
      { LaunchTemplateName: name, ...templateData(profile), ...more },
      "launchTemplateId",
    );
  const role = async (name: string, more: Record<string, string> = {}) => {
    await successful(administrator, "iam:CreateRole", {
      RoleName: name,
      AssumeRolePolicyDocument: TRUST,
      ...more,
    });
    await successful(administrator, "iam:CreateInstanceProfile", { InstanceProfileName: name });
    const names = { InstanceProfileName: name, RoleName: name };
    await successful(administrator, "iam:AddRoleToInstanceProfile", names);
  };
  await role("qwen3-embedding-own", { PermissionsBoundary: given.permissionsBoundary });
  // The prefix of the stack's roles, but from before there was a boundary.
  await role("qwen3-embedding-unlimited");
  await role("administrator");
  for (const name of [OWN_SECRET, FOREIGN_SECRET]) {
    await successful(administrator, "secretsmanager:CreateSecret", {
      Name: name,
      SecretString: "x".repeat(40),
    });
  }
  await successful(administrator, "s3:CreateBucket", { method: "PUT", path: "/payments", body: "" });
  const subvertedTemplate = await template("subverted", "qwen3-embedding-own", tagged("launch-template"));
  await successful(administrator, "ec2:CreateLaunchTemplateVersion", {
    LaunchTemplateId: subvertedTemplate,
    ...templateData("administrator"),
  });
  const foreignGroup = await group("foreign");
  const rules = { "Filter.1.Name": "group-id", "Filter.1.Value.1": foreignGroup };
  const zones = await administratorGet(emulator.url, "route53", "/2013-04-01/hostedzone");
  return {
    ownInstance: await run(tagged("instance")),
    foreignInstance: await run({}),
    ownGroup: await group("own", tagged("security-group")),
    foreignGroup,
    foreignRule: await made("ec2:DescribeSecurityGroupRules", rules, "securityGroupRuleId"),
    ownTemplate: await template("own", "qwen3-embedding-own", tagged("launch-template")),
    foreignTemplate: await template("foreign", "administrator"),
    foreignAddress: await made("ec2:AllocateAddress", { Domain: "vpc" }, "allocationId"),
    ownAddress: await made("ec2:AllocateAddress", { Domain: "vpc", ...tagged("elastic-ip") }, "allocationId"),
    subvertedTemplate,
    subnet,
    boundary: given.permissionsBoundary,
    zone: element(zones, "Id").replace("/hostedzone/", ""),
  };
}

function templateData(profile: string): Record<string, string> {
  return {
    "LaunchTemplateData.ImageId": IMAGE,
    "LaunchTemplateData.InstanceType": "t3.micro",
    "LaunchTemplateData.IamInstanceProfile.Name": profile,
  };
}

async function successful(
  send: Send,
  operation: string,
  parameters: Record<string, string>,
): Promise<Answer> {
  const answer = await send(operation, parameters);
  if (answer.status !== 200) {
    throw new Error(`${operation}: status ${answer.status}\n${answer.text.slice(0, 500)}`);
  }
  return answer;
}

async function administratorGet(url: string, service: string, path: string): Promise<Answer> {
  const authorization = `AWS4-HMAC-SHA256 Credential=AKIALOCALADMINISTRATOR/20260101/us-east-1/${service}/aws4_request, SignedHeaders=host, Signature=0`;
  const response = await fetch(url + path, { headers: { authorization } });
  return { status: response.status, text: await response.text() };
}

/** Sends a request as the deployer; returns what the policies refused. */
async function refused(operation: string, parameters: Record<string, unknown>) {
  const before = (await emulator.used()).refused.length;
  const answer = await deployer(operation, parameters);
  return { answer, refused: (await emulator.used()).refused.slice(before) };
}

type Case = [string, string, (scene: Scene) => Record<string, unknown>];

const shell = (...InstanceIds: string[]) => ({
  DocumentName: "AWS-RunShellScript",
  InstanceIds,
  Parameters: { commands: ["id"] },
});

const launch = ({ subnet }: Scene) => ({
  ImageId: IMAGE,
  InstanceType: "t3.micro",
  MinCount: "1",
  MaxCount: "1",
  SubnetId: subnet,
});

const groupFrom = (AutoScalingGroupName: string, LaunchTemplateId: string, Version?: string) => ({
  AutoScalingGroupName,
  MinSize: "0",
  MaxSize: "0",
  "LaunchTemplate.LaunchTemplateId": LaunchTemplateId,
  ...(Version && { "LaunchTemplate.Version": Version }),
});

const records = (zone: string, type: string, value: string) => ({
  path: `/2013-04-01/hostedzone/${zone}/rrset`,
  body: `<ChangeResourceRecordSetsRequest xmlns="https://route53.amazonaws.com/doc/2013-04-01/"><ChangeBatch><Changes><Change><Action>UPSERT</Action><ResourceRecordSet><Name>mail.example.com</Name><Type>${type}</Type><TTL>60</TTL><ResourceRecords><ResourceRecord><Value>${value}</Value></ResourceRecord></ResourceRecords></ResourceRecordSet></Change></Changes></ChangeBatch></ChangeResourceRecordSetsRequest>`,
});

const schedule = (role: string) => ({
  path: "/schedules/qwen3-embedding-evening",
  FlexibleTimeWindow: { Mode: "OFF" },
  ScheduleExpression: "rate(1 day)",
  Target: {
    Arn: "arn:aws:scheduler:::aws-sdk:iam:createUser",
    RoleArn: `arn:aws:iam::123456789012:role/${role}`,
  },
});

const ALLOWED: Case[] = [
  ["a shell command on an own instance", "ssm:SendCommand", ({ ownInstance }) => shell(ownInstance)],
  ["stopping an own instance", "ec2:StopInstances", ({ ownInstance }) => ({ "InstanceId.1": ownInstance })],
  ["starting an own instance", "ec2:StartInstances", ({ ownInstance }) => ({ "InstanceId.1": ownInstance })],
  [
    "another tag on an own instance",
    "ec2:CreateTags",
    ({ ownInstance }) => ({ "ResourceId.1": ownInstance, "Tag.1.Key": "team", "Tag.1.Value": "search" }),
  ],
  [
    "a tagged instance with an own role",
    "ec2:RunInstances",
    (scene) => ({
      ...launch(scene),
      ...tagged("instance"),
      "IamInstanceProfile.Name": "qwen3-embedding-own",
    }),
  ],
  [
    "a role with the boundary",
    "iam:CreateRole",
    ({ boundary }) => ({
      RoleName: "qwen3-embedding-new",
      AssumeRolePolicyDocument: TRUST,
      PermissionsBoundary: boundary,
    }),
  ],
  [
    "the policy of an own role",
    "iam:PutRolePolicy",
    () => ({ RoleName: "qwen3-embedding-own", PolicyName: "p", PolicyDocument: EVERYTHING }),
  ],
  [
    "the boundary for an existing role without one",
    "iam:PutRolePermissionsBoundary",
    ({ boundary }) => ({ RoleName: "qwen3-embedding-new", PermissionsBoundary: boundary }),
  ],
  [
    "a group from a version of an own template",
    "autoscaling:CreateAutoScalingGroup",
    ({ ownTemplate, subnet }) => ({
      ...groupFrom("qwen3-embedding-test", ownTemplate, "1"),
      VPCZoneIdentifier: subnet,
    }),
  ],
  [
    "the size of an own group",
    "autoscaling:UpdateAutoScalingGroup",
    () => ({ AutoScalingGroupName: "qwen3-embedding-test", MaxSize: "2" }),
  ],
  [
    "another version for an own group",
    "autoscaling:UpdateAutoScalingGroup",
    ({ ownTemplate }) => groupFrom("qwen3-embedding-test", ownTemplate, "1"),
  ],
  [
    "a rule in an own security group",
    "ec2:AuthorizeSecurityGroupIngress",
    ({ ownGroup }) => openPort(ownGroup),
  ],
  ["an own secret", "secretsmanager:GetSecretValue", () => ({ SecretId: OWN_SECRET })],
  ["an address record", "route53:ChangeResourceRecordSets", ({ zone }) => records(zone, "A", "203.0.113.1")],
];

/** What is denied, with the permission that is missing or, by its name, the statement that denies it. */
const DENIED: [...Case, RegExp][] = [
  [
    "a shell command on another instance",
    "ssm:SendCommand",
    ({ foreignInstance }) => shell(foreignInstance),
    /^ssm:SendCommand arn:aws:ec2:.*:instance\/i-/,
  ],
  [
    "a shell command on an own and another instance",
    "ssm:SendCommand",
    ({ ownInstance, foreignInstance }) => shell(ownInstance, foreignInstance),
    /^ssm:SendCommand arn:aws:ec2:.*:instance\/i-/,
  ],
  [
    "a shell command on every instance with a tag",
    "ssm:SendCommand",
    () => ({ ...shell(), InstanceIds: undefined, Targets: [{ Key: "tag:Name", Values: ["website"] }] }),
    /^ssm:SendCommand arn:aws:ec2:.*:instance\/\*/,
  ],
  [
    "another of AWS's documents on an own instance",
    "ssm:SendCommand",
    ({ ownInstance }) => ({ ...shell(ownInstance), DocumentName: "AWS-RunRemoteScript" }),
    /^ssm:SendCommand arn:aws:ssm:us-east-1::document\/AWS-RunRemoteScript/,
  ],
  [
    "a document of the account on an own instance",
    "ssm:SendCommand",
    ({ ownInstance }) => ({ ...shell(ownInstance), DocumentName: "mine" }),
    /^ssm:SendCommand arn:aws:ssm:us-east-1:123456789012:document\/mine/,
  ],
  [
    "the tag on another instance",
    "ec2:CreateTags",
    ({ foreignInstance }) => ({
      "ResourceId.1": foreignInstance,
      "Tag.1.Key": "qwen3-embedding-stack",
      "Tag.1.Value": "qwen3-embedding-test",
    }),
    /^ec2:CreateTags .*instance\/i-/,
  ],
  [
    "the tag on an own and another instance",
    "ec2:CreateTags",
    ({ ownInstance, foreignInstance }) => ({
      "ResourceId.1": ownInstance,
      "ResourceId.2": foreignInstance,
      "Tag.1.Key": "qwen3-embedding-stack",
      "Tag.1.Value": "qwen3-embedding-test",
    }),
    /^ec2:CreateTags .*instance\/i-/,
  ],
  [
    "the user data of another instance",
    "ec2:ModifyInstanceAttribute",
    ({ foreignInstance }) => ({ InstanceId: foreignInstance, "UserData.Value": "aWQ=" }),
    /^ec2:ModifyInstanceAttribute .*instance\/i-/,
  ],
  ...["StopInstances", "StartInstances", "TerminateInstances"].map((operation): [...Case, RegExp] => [
    "another instance",
    `ec2:${operation}`,
    ({ foreignInstance }) => ({ "InstanceId.1": foreignInstance }),
    new RegExp(`^ec2:${operation} .*instance/i-`),
  ]),
  [
    "an instance with the role of somebody else",
    "ec2:RunInstances",
    (scene) => ({ ...launch(scene), ...tagged("instance"), "IamInstanceProfile.Name": "administrator" }),
    /^iam:PassRole .*role\/administrator/,
  ],
  ["an instance without the tag", "ec2:RunInstances", launch, /^ec2:RunInstances .*instance\/\*/],
  [
    "an instance with a key pair",
    "ec2:RunInstances",
    (scene) => ({ ...launch(scene), ...tagged("instance"), KeyName: "mine" }),
    /^ec2:RunInstances .*key-pair\/mine/,
  ],
  [
    "an instance from another template",
    "ec2:RunInstances",
    ({ foreignTemplate, ...scene }) => ({
      ...launch(scene as Scene),
      ...tagged("instance"),
      "LaunchTemplate.LaunchTemplateId": foreignTemplate,
    }),
    /^ec2:RunInstances .*launch-template\/lt-/,
  ],
  [
    "a version of another template",
    "ec2:CreateLaunchTemplateVersion",
    ({ foreignTemplate }) => ({
      LaunchTemplateId: foreignTemplate,
      "LaunchTemplateData.UserData": "aWQ=",
    }),
    /^ec2:CreateLaunchTemplateVersion .*launch-template\/lt-/,
  ],
  [
    "the default version of another template",
    "ec2:ModifyLaunchTemplate",
    ({ foreignTemplate }) => ({ LaunchTemplateId: foreignTemplate, SetDefaultVersion: "1" }),
    /^ec2:ModifyLaunchTemplate .*launch-template\/lt-/,
  ],
  [
    "a rule in another security group",
    "ec2:AuthorizeSecurityGroupIngress",
    ({ foreignGroup }) => openPort(foreignGroup),
    /^ec2:AuthorizeSecurityGroupIngress .*security-group\/sg-/,
  ],
  [
    "a role without a boundary",
    "iam:CreateRole",
    () => ({ RoleName: "qwen3-embedding-free", AssumeRolePolicyDocument: TRUST }),
    /^iam:CreateRole .*role\/qwen3-embedding-free$/,
  ],
  [
    "a role with another boundary",
    "iam:CreateRole",
    () => ({
      RoleName: "qwen3-embedding-free",
      AssumeRolePolicyDocument: TRUST,
      PermissionsBoundary: OTHER_BOUNDARY,
    }),
    /^iam:CreateRole .*role\/qwen3-embedding-free$/,
  ],
  [
    "a role with another name",
    "iam:CreateRole",
    ({ boundary }) => ({
      RoleName: "deployer",
      AssumeRolePolicyDocument: TRUST,
      PermissionsBoundary: boundary,
    }),
    /^iam:CreateRole .*role\/deployer$/,
  ],
  [
    "the removal of the boundary",
    "iam:DeleteRolePermissionsBoundary",
    () => ({ RoleName: "qwen3-embedding-own" }),
    /^iam:DeleteRolePermissionsBoundary .* by KeepBoundary$/,
  ],
  [
    "another boundary for an own role",
    "iam:PutRolePermissionsBoundary",
    () => ({ RoleName: "qwen3-embedding-own", PermissionsBoundary: OTHER_BOUNDARY }),
    /^iam:PutRolePermissionsBoundary .*role\/qwen3-embedding-own$/,
  ],
  ...["CreatePolicyVersion", "DeletePolicy", "DeletePolicyVersion", "SetDefaultPolicyVersion"].map(
    (operation): [...Case, RegExp] => [
      "the policy of the boundary",
      `iam:${operation}`,
      ({ boundary }) => ({
        PolicyArn: boundary,
        PolicyDocument: EVERYTHING,
        SetAsDefault: "true",
        VersionId: "v1",
      }),
      new RegExp(`^iam:${operation} .*policy/qwen3-embedding-boundary by KeepBoundaryPolicy$`),
    ],
  ),
  ...["administrator", "qwen3-embedding-unlimited"].flatMap((role): [...Case, RegExp][] => [
    [
      `a policy for the role ${role}`,
      "iam:PutRolePolicy",
      () => ({ RoleName: role, PolicyName: "p", PolicyDocument: EVERYTHING }),
      new RegExp(`^iam:PutRolePolicy .*role/${role}$`),
    ],
    [
      `the trust policy of the role ${role}`,
      "iam:UpdateAssumeRolePolicy",
      () => ({ RoleName: role, PolicyDocument: TRUST }),
      new RegExp(`^iam:UpdateAssumeRolePolicy .*role/${role}$`),
    ],
  ]),
  [
    "a managed policy for an own role",
    "iam:AttachRolePolicy",
    () => ({ RoleName: "qwen3-embedding-own", PolicyArn: OTHER_BOUNDARY }),
    /^iam:AttachRolePolicy/,
  ],
  [
    "somebody else's role in an own instance profile",
    "iam:AddRoleToInstanceProfile",
    () => ({ InstanceProfileName: "qwen3-embedding-empty", RoleName: "administrator" }),
    /^iam:PassRole .*role\/administrator/,
  ],
  ["a user", "iam:CreateUser", () => ({ UserName: "me" }), /^iam:CreateUser/],
  ["an access key", "iam:CreateAccessKey", () => ({ UserName: "root" }), /^iam:CreateAccessKey/],
  [
    "somebody else's role in a schedule",
    "scheduler:CreateSchedule",
    () => schedule("administrator"),
    /^iam:PassRole .*role\/administrator/,
  ],
  [
    "a group with another name",
    "autoscaling:CreateAutoScalingGroup",
    ({ ownTemplate }) => groupFrom("website", ownTemplate, "1"),
    /^autoscaling:CreateAutoScalingGroup .*autoScalingGroupName\/website/,
  ],
  ...["$Latest", "$Default", undefined].flatMap((version): [...Case, RegExp][] =>
    ["Create", "Update"].map((what): [...Case, RegExp] => [
      `the template's version ${version}`,
      `autoscaling:${what}AutoScalingGroup`,
      ({ ownTemplate }) =>
        groupFrom(`qwen3-embedding-${what === "Create" ? "latest" : "test"}`, ownTemplate, version),
      new RegExp(`^autoscaling:${what}AutoScalingGroup .*autoScalingGroupName/qwen3-embedding-`),
    ]),
  ),
  ...["Create", "Update"].map((what): [...Case, RegExp] => [
    "a launch configuration",
    `autoscaling:${what}AutoScalingGroup`,
    () => ({
      AutoScalingGroupName: `qwen3-embedding-${what === "Create" ? "old" : "test"}`,
      MinSize: "0",
      MaxSize: "0",
      LaunchConfigurationName: "website",
    }),
    new RegExp(`^autoscaling:${what}AutoScalingGroup .*autoScalingGroupName/qwen3-embedding-`),
  ]),
  [
    "a group from another template",
    "autoscaling:CreateAutoScalingGroup",
    ({ foreignTemplate }) => groupFrom("qwen3-embedding-other", foreignTemplate, "1"),
    /^ec2:RunInstances .*launch-template\/lt-/,
  ],
  [
    "a group from a version with somebody else's role",
    "autoscaling:CreateAutoScalingGroup",
    ({ subvertedTemplate }) => groupFrom("qwen3-embedding-other", subvertedTemplate, "2"),
    /^iam:PassRole .*role\/administrator/,
  ],
  [
    "a group behind somebody else's load balancer",
    "autoscaling:CreateAutoScalingGroup",
    ({ ownTemplate }) => ({
      ...groupFrom("qwen3-embedding-other", ownTemplate, "1"),
      "TargetGroupARNs.member.1":
        "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/website/0123456789abcdef",
    }),
    /^autoscaling:CreateAutoScalingGroup .*autoScalingGroupName\/qwen3-embedding-other/,
  ],
  [
    "the size of another group",
    "autoscaling:UpdateAutoScalingGroup",
    () => ({ AutoScalingGroupName: "website", MaxSize: "0" }),
    /^autoscaling:UpdateAutoScalingGroup .*autoScalingGroupName\/website/,
  ],
  [
    "the listener of another load balancer",
    "elasticloadbalancing:ModifyListener",
    () => ({ ListenerArn: FOREIGN_LISTENER, Port: "443" }),
    /^elasticloadbalancing:ModifyListener .*listener\/app\/website/,
  ],
  ...["DeleteSecret", "DescribeSecret", "GetSecretValue", "PutSecretValue", "UpdateSecret"].map(
    (operation): [...Case, RegExp] => [
      "somebody else's secret",
      `secretsmanager:${operation}`,
      () => ({
        SecretId: FOREIGN_SECRET,
        ...(/Put|Update/.test(operation) && { SecretString: "y".repeat(40), ClientRequestToken: TOKEN }),
      }),
      new RegExp(`^secretsmanager:${operation} .*:secret:payments-`),
    ],
  ),
  [
    "a secret with another name",
    "secretsmanager:CreateSecret",
    () => ({ Name: "ledger", SecretString: "z".repeat(40) }),
    /^secretsmanager:CreateSecret .*:secret:ledger-/,
  ],
  [
    "a read of somebody else's bucket",
    "s3:GetObject",
    () => ({ method: "GET", path: "/payments/ledger" }),
    /^s3:GetObject arn:aws:s3:::payments\/ledger$/,
  ],
  [
    "the policy of somebody else's bucket",
    "s3:PutBucketPolicy",
    () => ({ method: "PUT", path: "/payments?policy", body: EVERYTHING }),
    /^s3:PutBucketPolicy arn:aws:s3:::payments$/,
  ],
  [
    "a bucket with another name",
    "s3:CreateBucket",
    () => ({ method: "PUT", path: "/ledger", body: "" }),
    /^s3:CreateBucket arn:aws:s3:::ledger$/,
  ],
  [
    "a parameter of the account",
    "ssm:GetParameter",
    () => ({ Name: "/payments/password", WithDecryption: true }),
    /^ssm:GetParameter .*parameter\/payments\/password$/,
  ],
  [
    "a budget with another name",
    "budgets:DeleteBudget",
    () => ({ AccountId: "123456789012", BudgetName: "everything" }),
    /^budgets:ModifyBudget .*budget\/everything$/,
  ],
  [
    "somebody else's address",
    "ec2:ReleaseAddress",
    ({ foreignAddress }) => ({ AllocationId: foreignAddress }),
    /^ec2:ReleaseAddress .*elastic-ip\/eipalloc-/,
  ],
  [
    "somebody else's security group",
    "ec2:DeleteSecurityGroup",
    ({ foreignGroup }) => ({ GroupId: foreignGroup }),
    /^ec2:DeleteSecurityGroup .*security-group\/sg-/,
  ],
  [
    "a subnet of somebody else",
    "ec2:DeleteSubnet",
    ({ subnet }) => ({ SubnetId: subnet }),
    /^ec2:DeleteSubnet .*subnet\/subnet-/,
  ],
  [
    "a delegation of the domain",
    "route53:ChangeResourceRecordSets",
    ({ zone }) => records(zone, "NS", "ns.example.net"),
    /^route53:ChangeResourceRecordSets/,
  ],
];

/** The end of a stack. */
const DELETED: Case[] = [
  [
    "rules of a group without the tag, such as a VPC's default group",
    "ec2:RevokeSecurityGroupEgress",
    ({ foreignGroup, foreignRule }) => ({ GroupId: foreignGroup, "SecurityGroupRuleId.1": foreignRule }),
  ],
  ["an own instance", "ec2:TerminateInstances", ({ ownInstance }) => ({ "InstanceId.1": ownInstance })],
  ["an own address", "ec2:ReleaseAddress", ({ ownAddress }) => ({ AllocationId: ownAddress })],
  ["an own security group", "ec2:DeleteSecurityGroup", ({ ownGroup }) => ({ GroupId: ownGroup })],
  ["the policy of an own role", "iam:DeleteRolePolicy", () => ({ RoleName: OWN_ROLE, PolicyName: "p" })],
  [
    "an own role from its instance profile",
    "iam:RemoveRoleFromInstanceProfile",
    () => ({ RoleName: OWN_ROLE, InstanceProfileName: OWN_ROLE }),
  ],
  ["an own instance profile", "iam:DeleteInstanceProfile", () => ({ InstanceProfileName: OWN_ROLE })],
  ["an own role", "iam:DeleteRole", () => ({ RoleName: OWN_ROLE })],
  [
    "an own Auto Scaling group",
    "autoscaling:DeleteAutoScalingGroup",
    () => ({ AutoScalingGroupName: "qwen3-embedding-test" }),
  ],
  [
    "an own launch template",
    "ec2:DeleteLaunchTemplate",
    ({ ownTemplate }) => ({ LaunchTemplateId: ownTemplate }),
  ],
  ["an own secret", "secretsmanager:DeleteSecret", () => ({ SecretId: OWN_SECRET })],
];

function openPort(group: string): Record<string, string> {
  return {
    GroupId: group,
    "IpPermissions.1.IpProtocol": "tcp",
    "IpPermissions.1.FromPort": "443",
    "IpPermissions.1.ToPort": "443",
    "IpPermissions.1.IpRanges.1.CidrIp": "203.0.113.0/24",
  };
}

describe("the deployer's policies", () => {
  it.each(ALLOWED)("allow %s: %s", async (_, operation, parameters) => {
    const { answer, refused: refusals } = await refused(operation, parameters(scene));
    expect(refusals).toEqual([]);
    expect(answer.status, answer.text).toBeLessThan(300);
  });

  it.each(DENIED)("deny %s: %s", async (_, operation, parameters, missing) => {
    const { answer, refused: refusals } = await refused(operation, parameters(scene));
    expect(refusals).toEqual([expect.stringMatching(missing)]);
    expect(answer.status).toBe(403);
  });

  // docs/guides/deployer.md says so, and what to do about it.
  it("cannot restrict the version of the template in an instance refresh", async () => {
    const { refused: refusals } = await refused("autoscaling:StartInstanceRefresh", {
      AutoScalingGroupName: "qwen3-embedding-test",
      "DesiredConfiguration.LaunchTemplate.LaunchTemplateId": scene.ownTemplate,
      "DesiredConfiguration.LaunchTemplate.Version": "$Latest",
    });
    expect(refusals).toEqual([]);
  });

  it.each(DELETED)("allow the deletion of %s: %s", async (_, operation, parameters) => {
    const { answer, refused: refusals } = await refused(operation, parameters(scene));
    expect(refusals).toEqual([]);
    expect(answer.status, answer.text).toBeLessThan(300);
  });
});
