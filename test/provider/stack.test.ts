import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  AutoScalingClient,
  DescribeAutoScalingGroupsCommand,
  type InstanceRefresh,
} from "@aws-sdk/client-auto-scaling";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { publishModel } from "../../local/model";
import { lastRefresh } from "../../scripts/lib/autoScaling";
import { awsClientConfig } from "../../scripts/lib/aws";
import { ROOT } from "../../scripts/lib/paths";
import { rollOut } from "../../scripts/rollout/rollout";
import {
  added,
  DEPLOYER,
  type Given,
  type ProviderEmulator,
  startProviderEmulator,
  type Used,
} from "./emulator";
import { environments, type ProviderEnvironment } from "./environments";
import { DEPLOYER_POLICIES, type Policy } from "./policies";
import { record } from "./record";
import { type Change, findTools, readSchema, Terraform, type Tools } from "./terraform";
import { type Configuration, translate } from "./translate";

/** The result of one environment. */
interface Outcome {
  /** Resources of AWS that the program requests. */
  asked: string[];
  planned: Change[];
  inState: string[];
  secondPlan: Change[];
  rotation: Change[];
  /** Of a fleet: what a changed instance changes. */
  changed?: ChangedFleet;
  /** In the emulator after the destroy, but not before the first apply. */
  left: Record<string, string[]>;
  used: Used;
}

/** A changed instance type of a fleet: a new version of its launch template. */
interface ChangedFleet {
  planned: Change[];
  /** The version that the group has after AWS's provider has applied the change. */
  saved: string | undefined;
  /** What `rollout` then requested, and the version that the group has in the end. */
  refresh: InstanceRefresh | undefined;
  rolledOut: string | undefined;
}

const folder = mkdtempSync(join(tmpdir(), "qwen3-provider-"));
// Only names: the resources of the emulator's account are not known yet.
const NAMES = Object.entries(environments({ subnets: {} } as Given));
const APPLIED = NAMES.filter(([, { planOnly }]) => !planOnly).map(([name]) => name);
const PLANNED = NAMES.filter(([, { planOnly }]) => planOnly).map(([name]) => name);
const outcomes: Record<string, Promise<Outcome>> = {};
const configurations: Record<string, Configuration> = {};

/** Additional permissions for weights in the deployer's bucket, as in docs/guides/deployer.md. */
const READ_MODEL: Policy = {
  Statement: [
    {
      Sid: "ReadModel",
      Effect: "Allow",
      Action: ["s3:GetObject", "s3:GetObjectTagging", "s3:ListBucket"],
      Resource: ["arn:aws:s3:::qwen3-local-models", "arn:aws:s3:::qwen3-local-models/*"],
    },
  ],
};

/** Actions that no environment's life needs; docs/guides/deployer.md says what they are for. */
const UNREQUESTED = [
  ...["autoscaling:CancelInstanceRefresh", "autoscaling:DeleteTags", "autoscaling:RollbackInstanceRefresh"],
  ...["ec2:DeleteLaunchTemplateVersions", "ec2:DeleteTags"],
  ...["ec2:ModifySecurityGroupRules", "ec2:ModifyVolume"],
  ...["ec2:ModifyVpcEndpoint", "ec2:StartInstances", "ec2:StopInstances"],
  ...["elasticloadbalancing:ModifyListener", "elasticloadbalancing:ModifyTargetGroup"],
  ...["elasticloadbalancing:RemoveTags"],
  ...["elasticloadbalancing:SetSecurityGroups", "elasticloadbalancing:SetSubnets"],
  ...["iam:CreateServiceLinkedRole", "iam:PutRolePermissionsBoundary", "iam:UpdateAssumeRolePolicy"],
  ...["iam:UpdateRoleDescription", "scheduler:UpdateSchedule", "secretsmanager:ListSecretVersionIds"],
  ...["secretsmanager:UpdateSecret", "secretsmanager:UpdateSecretVersionStage"],
  ...["ssm:GetCommandInvocation", "ssm:SendCommand"],
];

beforeAll(async () => {
  const tools = findTools();
  if (typeof tools === "string") {
    throw new Error(`this layer cannot run: ${tools}`);
  }
  const { schema, file } = await readSchema(tools, folder);
  const readModel = writePolicy("read-model", READ_MODEL);
  // The engine runs one environment at a time, because its settings are those of this process. The AWS provider waits
  // more than it computes, so the rest of each environment runs in parallel with the next.
  for (const [name, { fleet }] of NAMES) {
    const { single, fleet: more } = DEPLOYER_POLICIES;
    const emulator = await startProviderEmulator([single.file, ...(fleet ? [more.file] : []), readModel]);
    const environment = environments(emulator.given)[name]!;
    const recording = await record(environment, file, emulator.given);
    const configuration = translate(recording, schema);
    configurations[name] = configuration;
    outcomes[name] = live(tools, name, environment, configuration, emulator).finally(emulator.stop);
    // The first test that awaits it reports it.
    outcomes[name].catch(() => undefined);
  }
});

afterAll(async () => {
  await Promise.allSettled(Object.values(outcomes));
  rmSync(folder, { recursive: true, force: true });
});

describe.each(APPLIED)("AWS's own provider, with %s", (name) => {
  it("creates every resource that the program requests", async () => {
    const { asked, inState } = await outcomes[name]!;
    expect(asked.length).toBeGreaterThan(20);
    expect(inState).toEqual(asked);
  });

  it("changes nothing in a second update", async () => {
    expect((await outcomes[name]!).secondPlan).toEqual([]);
  });

  it("rotates a key by changing only its secret's version", async () => {
    expect((await outcomes[name]!).rotation).toEqual([
      {
        address: expect.stringMatching(/^aws_secretsmanager_secret_version\..*-default$/),
        actions: ["create", "delete"],
      },
    ]);
  });

  it("leaves a changed template of a fleet to the rollout, so that AWS can roll back to the former one", async () => {
    const { changed } = await outcomes[name]!;
    if (!changed) {
      expect(name).not.toMatch(/fleet|internal/);
      return;
    }
    // Only a new version of the template: the group still has the first one when the refresh begins.
    expect(changed.planned).toEqual([
      { address: expect.stringMatching(/^aws_launch_template\./), actions: ["update"] },
    ]);
    expect(changed.saved).toBe("1");
    expect(changed.refresh).toMatchObject({
      StatusReason: "begun with version 1",
      DesiredConfiguration: { LaunchTemplate: { Version: "2" } },
      Preferences: { AutoRollback: true, BakeTime: 600, AlarmSpecification: { Alarms: ["an-alarm"] } },
    });
    expect(changed.rolledOut).toBe("2");
  });

  it("leaves nothing behind except secrets that can be restored", async () => {
    const { left, asked } = await outcomes[name]!;
    const secrets = asked.filter((address) => address.startsWith("aws_secretsmanager_secret."));
    const restorable = name === "local" ? 0 : secrets.length;
    expect(left).toEqual(
      restorable === 0
        ? {}
        : { "secretsmanager.restorable": expect.objectContaining({ length: restorable }) },
    );
  });
});

describe.each(PLANNED)("AWS's own provider, with %s", (name) => {
  it("plans every resource that the program requests", async () => {
    const { asked, planned } = await outcomes[name]!;
    expect(planned).toEqual(asked.map((address) => ({ address, actions: ["create"] })));
  });
});

describe("the deployer's policies", () => {
  const statements = Object.values(DEPLOYER_POLICIES)
    .flatMap(({ policy }) => policy.Statement)
    .filter(({ Effect }) => Effect === "Allow");

  it("grant everything that the AWS provider requests, from the first plan to the destroy", async () => {
    const refused = await Promise.all(
      Object.values(outcomes).map(async (outcome) => (await outcome).used.refused),
    );
    expect(refused.flat()).toEqual([]);
  });

  it("grant nothing that is not requested, except for later changes and for verification", async () => {
    const used = await Promise.all(Object.values(outcomes).map(async (outcome) => (await outcome).used.used));
    const isUsed = (action: string) =>
      used
        .flat()
        .some((each) => (action.endsWith("*") ? each.startsWith(action.slice(0, -1)) : each === action));
    const unused = statements.flatMap(({ Action }) => Action).filter((action) => !isUsed(action));
    expect([...new Set(unused)].sort()).toEqual([...UNREQUESTED].sort());
  });

  it("have no unnecessary statement", async () => {
    const needed = await Promise.all(
      Object.values(outcomes).map(async (outcome) => Object.keys((await outcome).used.needed)),
    );
    const requested = statements.filter(({ Action }) => Action.some((each) => !UNREQUESTED.includes(each)));
    const unnecessary = requested.map(({ Sid }) => Sid).filter((sid) => !needed.flat().includes(sid));
    expect(unnecessary).toEqual([]);
  });

  it("are enforced: without the statement for secrets, none is created", async () => {
    const tools = findTools() as Tools;
    const work = join(folder, "refused");
    mkdirSync(work);
    const { policy } = DEPLOYER_POLICIES.single;
    const Statement = policy.Statement.filter(({ Sid }) => Sid !== "ManageSecrets");
    const emulator = await startProviderEmulator([writePolicy("without-secrets", { ...policy, Statement })]);
    try {
      const terraform = new Terraform(tools, work, emulator.url);
      await terraform.init(configurations.dev);
      await terraform.plan();
      await expect(terraform.applyPlan()).rejects.toThrow(
        /creating Secrets Manager Secret .* StatusCode: 403/,
      );
      expect((await emulator.census())["secretsmanager.secrets"]).toBeUndefined();
    } finally {
      await emulator.stop();
    }
  });
});

describe("docs/evidence/provider-layer-resources.md", () => {
  it("lists what was applied and what was only planned", async () => {
    const rows = new Map<string, Record<"applied" | "planned", string[]>>();
    for (const [name] of NAMES) {
      const { asked, inState } = await outcomes[name]!;
      for (const type of new Set(asked.map((address) => address.split(".")[0]!))) {
        const row = rows.get(type) ?? { applied: [], planned: [] };
        row[inState.some((address) => address.startsWith(`${type}.`)) ? "applied" : "planned"].push(name);
        rows.set(type, row);
      }
    }
    const table = [...rows]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([type, { applied, planned }]) => `| ${type} | ${applied.join(", ")} | ${planned.join(", ")} |`);
    const text = [
      "# What AWS's own provider took",
      "",
      "Written by `npm run test:provider`, which fails when this is out of date; see [how](provider-layer.md).",
      "",
      "| type | applied for | planned only for |",
      "|---|---|---|",
      ...table,
      "",
    ].join("\n");
    await expect(text).toMatchFileSnapshot(join(ROOT, "docs/evidence/provider-layer-resources.md"));
  });
});

function writePolicy(name: string, policy: Policy): string {
  const file = join(folder, `${name}.json`);
  writeFileSync(file, JSON.stringify(policy));
  return file;
}

/** Changes the instance type, as a changed setting would, and rolls the change out as the program does. */
async function changeFleet(
  terraform: Terraform,
  configuration: Configuration,
  { url }: ProviderEmulator,
): Promise<ChangedFleet> {
  const [[template, body]] = Object.entries(configuration.resource.aws_launch_template!) as [
    [string, Record<string, unknown>],
  ];
  await terraform.init({
    ...configuration,
    resource: {
      ...configuration.resource,
      aws_launch_template: { [template]: { ...body, instance_type: "g6e.2xlarge" } },
    },
  });
  // Without the password of the rotation before, whose secret's version is changed back.
  const planned = (await terraform.plan()).filter(
    ({ address }) => !address.startsWith("aws_secretsmanager_secret_version."),
  );
  await terraform.applyPlan();
  const aws = {
    region: "us-east-1",
    env: {
      AWS_ENDPOINT_URL: url,
      AWS_ACCESS_KEY_ID: DEPLOYER.accessKeyId,
      AWS_SECRET_ACCESS_KEY: DEPLOYER.secretAccessKey,
    },
  };
  const client = new AutoScalingClient(awsClientConfig(aws));
  const describe = async () => {
    const { AutoScalingGroups: groups = [] } = await client.send(new DescribeAutoScalingGroupsCommand({}));
    return groups[0]!;
  };
  const { AutoScalingGroupName: group = "", LaunchTemplate: saved } = await describe();
  await rollOut(
    {
      group,
      template: { id: saved!.LaunchTemplateId!, version: "2" },
      alarms: ["an-alarm"],
      readySeconds: 60,
      capacity: {
        ...{ purchaseOption: "on-demand", capacityReservationId: undefined, instanceType: "g6e.2xlarge" },
        ...{ zones: [], offered: [] },
      },
      aws,
    },
    { pollMs: 10, nextMs: 1000, progress: () => undefined },
  );
  const refresh = await lastRefresh(client, group);
  const rolledOut = (await describe()).LaunchTemplate?.Version;
  client.destroy();
  return { planned, saved: saved?.Version, refresh, rolledOut };
}

/** The whole life of an environment in a separate account. */
async function live(
  tools: Tools,
  name: string,
  { planOnly, fleet }: ProviderEnvironment,
  configuration: Configuration,
  emulator: ProviderEmulator,
): Promise<Outcome> {
  const work = join(folder, name);
  mkdirSync(work);
  const asked = Object.entries(configuration.resource)
    .flatMap(([type, resources]) => Object.keys(resources).map((resource) => `${type}.${resource}`))
    .sort();
  await publishModel(emulator.url);
  const terraform = new Terraform(tools, work, emulator.url);
  await terraform.init(configuration);
  const before = await emulator.census();
  const planned = (await terraform.plan()).sort((a, b) => (a.address < b.address ? -1 : 1));
  if (planOnly) {
    return {
      asked,
      planned,
      inState: [],
      secondPlan: [],
      rotation: [],
      left: {},
      used: await emulator.used(),
    };
  }
  await terraform.applyPlan();
  const inState = (await terraform.list()).filter((address) => !address.startsWith("data.")).sort();
  const secondPlan = await terraform.plan();
  const password = Object.keys(configuration.variable).find((each) =>
    /RandomPassword.*-default_result$/.test(each),
  )!;
  const rotation = await terraform.plan({ [password]: "the next password" });
  await terraform.applyPlan();
  const changed = fleet ? await changeFleet(terraform, configuration, emulator) : undefined;
  await terraform.destroy();
  const left = added(before, await emulator.census());
  return { asked, planned, inState, secondPlan, rotation, changed, left, used: await emulator.used() };
}
