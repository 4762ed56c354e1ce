import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { EC2 } from "@aws-sdk/client-ec2";
import {
  GetRolePolicyCommand,
  IAMClient,
  ListRolePoliciesCommand,
  ListRolesCommand,
} from "@aws-sdk/client-iam";
import type { EngineEvent } from "@pulumi/pulumi/automation";
import { afterEach, describe, expect, it } from "vitest";
import { ADMINISTRATOR } from "../../local/aws/administrator";
import { unsupported } from "../../local/preflight";
import { ROOT } from "../../scripts/lib/paths";
import { type EngineEnvironment, startEngineEnvironment, type Variant } from "./environment";

const SETTING = "qwen3-embedding-stack:";

let environment: EngineEnvironment | undefined;

/** `OPERATION TYPE` of every step of an update, without those that changed nothing. */
async function up({ stack }: EngineEnvironment) {
  const events: EngineEvent[] = [];
  const { outputs } = await stack.up({ onEvent: (event) => events.push(event) });
  const steps = events
    .flatMap(({ resourcePreEvent }) => (resourcePreEvent ? [resourcePreEvent.metadata] : []))
    .filter(({ op }) => op !== "same" && op !== "read" && op !== "refresh")
    .map(({ op, type }) => `${op} ${type.split(":").at(-1)}`);
  return { outputs: Object.fromEntries(Object.entries(outputs).map(([k, { value }]) => [k, value])), steps };
}

async function start(variant: Variant): Promise<EngineEnvironment> {
  environment = await startEngineEnvironment(variant);
  return environment;
}

function set({ stack }: EngineEnvironment, name: string, value: string) {
  return stack.setConfig(`${SETTING}${name}`, { value });
}

async function unchanged({ stack }: EngineEnvironment): Promise<void> {
  const { changeSummary } = await stack.preview({ expectNoChanges: true });
  expect(Object.keys(changeSummary)).toEqual(["same"]);
}

async function resourcesLeft({ stack }: EngineEnvironment): Promise<number> {
  return ((await stack.exportStack()).deployment.resources ?? []).length;
}

/** The networks that exist in the emulator. */
async function network({ endpoint }: EngineEnvironment) {
  const ec2 = new EC2({ endpoint, region: "us-east-1", credentials: ADMINISTRATOR });
  const { Vpcs } = await ec2.describeVpcs();
  const { Subnets } = await ec2.describeSubnets();
  const { SecurityGroups } = await ec2.describeSecurityGroups();
  const { RouteTables } = await ec2.describeRouteTables();
  const { InternetGateways } = await ec2.describeInternetGateways();
  const { VpcEndpoints } = await ec2.describeVpcEndpoints();
  return { Vpcs, Subnets, SecurityGroups, RouteTables, InternetGateways, VpcEndpoints };
}

/** Whether the instances' role, as the engine created it, allows actions, by the emulator's evaluation of policies. */
async function allowed(
  { endpoint }: EngineEnvironment,
  asked: [action: string, resource: string, context: Record<string, string>][],
): Promise<boolean[]> {
  const iam = new IAMClient({ endpoint, region: "us-east-1", credentials: ADMINISTRATOR });
  const { Roles } = await iam.send(new ListRolesCommand({}));
  const RoleName = Roles!.find((role) => role.RoleName!.startsWith("qwen3-embedding-"))!.RoleName!;
  const { PolicyNames } = await iam.send(new ListRolePoliciesCommand({ RoleName }));
  const documents = await Promise.all(
    PolicyNames!.map(async (PolicyName) => {
      const { PolicyDocument } = await iam.send(new GetRolePolicyCommand({ RoleName, PolicyName }));
      return decodeURIComponent(PolicyDocument!);
    }),
  );
  const program =
    "import json, sys, policies; documents, asked = json.loads(sys.argv[1]); " +
    "print(json.dumps([policies.is_allowed(documents, *each) for each in asked]))";
  const { stdout } = await promisify(execFile)(
    "python3",
    ["-c", program, JSON.stringify([documents, asked])],
    {
      cwd: join(ROOT, "local/aws"),
      env: { ...process.env, PYTHONDONTWRITEBYTECODE: "1" },
    },
  );
  return JSON.parse(stdout) as boolean[];
}

describe.skipIf(unsupported() !== undefined)("environments on the real engine", () => {
  afterEach(async () => {
    await environment?.stop();
    environment = undefined;
  });

  it("dev is created, changed and destroyed", async () => {
    const dev = await start({ configuration: "Pulumi.dev.yaml" });
    const before = await network(dev);
    const { outputs, steps } = await up(dev);
    expect((await network(dev)).Vpcs).toHaveLength(before.Vpcs!.length + 1);
    expect(outputs).toMatchObject({ endpoint: expect.stringMatching(/^https:\/\/[\d.]+\/v1$/) });
    expect(steps.filter((step) => step === "create Instance")).toHaveLength(1);
    await unchanged(dev);
    await set(dev, "maxInputs", "512");
    const changed = (await up(dev)).steps.filter((step) => step.endsWith(" Instance"));
    expect(changed).toEqual(["create Instance", "delete Instance"]);
    await dev.stack.destroy();
    expect(await resourcesLeft(dev)).toBe(0);
    expect(await network(dev)).toEqual(before);
  });

  it("prod is created, moves into a reservation, changes there without overlap, and is destroyed once it is unprotected", async () => {
    const prod = await start({ configuration: "Pulumi.prod.yaml" });
    await up(prod);
    await unchanged(prod);
    await set(prod, "purchaseOption", "reservation");
    await expect(prod.stack.up()).rejects.toThrow(
      /capacityReservationId is not set[\s\S]*availabilityZone is not set/,
    );
    await set(prod, "capacityReservationId", "cr-0123456789abcdef0");
    await set(prod, "availabilityZone", "us-east-1b");
    // The instance on demand serves until the one in the reservation does.
    const moved = (await up(prod)).steps.filter((step) => step.endsWith(" Instance"));
    expect(moved).toEqual(["create Instance", "delete Instance"]);
    // The reservation has room for one.
    await set(prod, "maxInputs", "512");
    const { steps } = await up(prod);
    const [gone, begun] = ["delete-replaced Instance", "create-replacement Instance"].map((step) =>
      steps.indexOf(step),
    );
    expect(gone).toBeGreaterThanOrEqual(0);
    expect(gone).toBeLessThan(begun!);
    await expect(prod.stack.destroy()).rejects.toThrow(/protect/);
    await set(prod, "protect", "false");
    await up(prod);
    await prod.stack.destroy();
    expect(await resourcesLeft(prod)).toBe(0);
  });

  it("a fleet of three is created, refreshed, scaled, rotates a key without a change of instances, and is destroyed", async () => {
    const fleet = await start({
      configuration: "Pulumi.local.yaml",
      values: { domain: "embeddings.example.com", instancesMin: 3, instancesMax: 3 },
    });
    const { outputs, steps } = await up(fleet);
    expect(outputs).toMatchObject({
      endpoint: "https://embeddings.example.com/v1",
      caCertificate: "",
      autoScalingGroup: expect.stringMatching(/^qwen3-embedding-engine-[0-9a-f]{7}$/),
    });
    const groupName = String(outputs.autoScalingGroup);
    expect(steps).not.toContain("create Instance");
    expect(fleet.rollouts()[0]).toMatchObject({ ROLLOUT_AUTO_SCALING_GROUP: groupName });
    expect(fleet.verifications()[0]).toMatchObject({ VERIFY_AUTO_SCALING_GROUP: groupName });
    await unchanged(fleet);

    // A changed instance: a new version of the template, which rollout gives to the group.
    await set(fleet, "maxInputs", "512");
    expect((await up(fleet)).steps.sort()).toEqual(
      [
        // The component records its settings, so that a preview shows which one changed.
        ...["update EmbeddingService", "update LaunchTemplate", "update Command"],
        ...["create-replacement Command", "replace Command", "delete-replaced Command"],
      ].sort(),
    );

    // A limit of the hook, for which the provider would replace the whole group.
    await set(fleet, "verificationTimeoutSeconds", "3600");
    const limit = (await up(fleet)).steps;
    expect(limit).toContain("update LifecycleHook");
    // A new verification is a replacement of its command.
    expect(limit.filter((step) => /replace/.test(step) && !step.endsWith(" Command"))).toEqual([]);

    await set(fleet, "instancesMax", "6");
    const grown = (await up(fleet)).steps;
    expect(grown).toEqual(expect.arrayContaining(["update Group", "create Policy", "update RolePolicy"]));
    expect(grown.filter((step) => /replace.* Group|LoadBalancer|TargetGroup/.test(step))).toEqual([]);

    const group = (name: string) =>
      `arn:aws:autoscaling:us-east-1:123456789012:autoScalingGroup:1:autoScalingGroupName/${name}`;
    const namespace = (name: string) => ({ "cloudwatch:namespace": name });
    expect(
      await allowed(fleet, [
        ["autoscaling:CompleteLifecycleAction", group(groupName), {}],
        ["cloudwatch:PutMetricData", "*", namespace("qwen3-embedding")],
        ["autoscaling:SetInstanceHealth", group(groupName), {}],
        ["autoscaling:CompleteLifecycleAction", group("another"), {}],
        ["autoscaling:SetInstanceHealth", group("another"), {}],
        ["autoscaling:SetDesiredCapacity", group(groupName), {}],
        ["cloudwatch:PutMetricData", "*", namespace("AWS/EC2")],
        ["cloudwatch:GetMetricData", "*", {}],
      ]),
    ).toEqual([true, true, true, false, false, false, false, false]);

    const events: EngineEvent[] = [];
    await fleet.stack.up({
      replace: [(await fleet.stack.outputs()).apiKeyUrn!.value],
      onEvent: (event) => events.push(event),
    });
    const rotated = events.flatMap(({ resourcePreEvent }) =>
      resourcePreEvent ? [resourcePreEvent.metadata] : [],
    );
    const touched = rotated
      .filter(({ op }) => op !== "same" && op !== "read" && op !== "refresh")
      .map(({ type }) => type.split(":").at(-1));
    expect([...new Set(touched)].sort()).toEqual(["Command", "RandomPassword", "SecretVersion"]);

    await fleet.stack.destroy();
    expect(await resourcesLeft(fleet)).toBe(0);
  });

  it("a private endpoint is created in an existing VPC, and leaves the VPC unchanged", async () => {
    const endpoint = await start({
      configuration: "Pulumi.local.yaml",
      values: { domain: "embeddings.example.com", internal: "true", createVpcEndpoints: "true" },
    });
    // The VPC that every account has.
    const before = await network(endpoint);
    await set(endpoint, "vpcId", before.Vpcs![0]!.VpcId!);
    await expect(endpoint.stack.up()).rejects.toThrow(
      /subnetIds is \[\]; allowed: with vpcId, two subnets or more/,
    );
    for (const [index, zone] of ["a", "b"].entries()) {
      const value = before.Subnets!.find(({ AvailabilityZone }) => AvailabilityZone === `us-east-1${zone}`)!
        .SubnetId!;
      await endpoint.stack.setConfig(`${SETTING}subnetIds[${index}]`, { value }, true);
    }
    const { steps } = await up(endpoint);
    expect(steps.filter((step) => step === "create VpcEndpoint")).toHaveLength(6);
    expect(steps.filter((step) => /create (Vpc|Subnet|InternetGateway|Eip|Instance)$/.test(step))).toEqual(
      [],
    );
    await unchanged(endpoint);
    expect((await network(endpoint)).VpcEndpoints).toHaveLength(6);
    await endpoint.stack.destroy();
    expect(await resourcesLeft(endpoint)).toBe(0);
    expect(await network(endpoint)).toEqual(before);
  });

  it("says what to change if AWS has no capacity, for one instance and for a fleet", async () => {
    const none = await start({ configuration: "Pulumi.local.yaml" });
    const { workspace } = none.stack;
    workspace.envVars = { ...workspace.envVars, QWEN3_LOCAL_NO_CAPACITY: "1" };
    await expect(none.stack.up()).rejects.toThrow(
      /AWS has no on-demand capacity for m7i.xlarge now in us-east-1a: set availabilityZone to another zone that offers it \(us-east-1b\)/,
    );
    await none.stack.destroy();
    // A fleet's group tries by itself; its rollout waits, and has what the advice is made from.
    await set(none, "domain", "embeddings.example.com");
    await none.stack.up();
    expect(JSON.parse(none.rollouts()[0]!.ROLLOUT_CAPACITY!)).toMatchObject({
      instanceType: "m7i.xlarge",
      zones: ["us-east-1a", "us-east-1b"],
      offered: ["us-east-1a", "us-east-1b"],
    });
    await none.stack.destroy();
  });
});
