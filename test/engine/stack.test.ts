import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { IAMClient, ListInstanceProfilesCommand, ListRolesCommand } from "@aws-sdk/client-iam";
import { ListBucketsCommand, ListObjectsV2Command, S3Client } from "@aws-sdk/client-s3";
import {
  GetSecretValueCommand,
  ListSecretsCommand,
  PutSecretValueCommand,
  SecretsManagerClient,
} from "@aws-sdk/client-secrets-manager";
import type { EngineEvent } from "@pulumi/pulumi/automation";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ADMINISTRATOR } from "../../local/aws/administrator";
import { unsupported } from "../../local/preflight";
import { run } from "../../local/process";
import { engineOf } from "../../scripts/rotate/engine";
import { judgePending, requireRotationAlone } from "../../scripts/rotate/plan";
import { type EngineEnvironment, startEngineEnvironment } from "./environment";
import { resourcesOf, steps, urnSteps } from "./state";

const client = () => ({
  endpoint: environment.endpoint,
  region: "us-east-1",
  credentials: ADMINISTRATOR,
});

let environment: EngineEnvironment;

/** The texts of all files below a folder. */
function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => readFileSync(join(entry.parentPath, entry.name), "utf8"));
}

async function readSecret(arn: string, stage = "AWSCURRENT"): Promise<string> {
  const answer = await new SecretsManagerClient(client()).send(
    new GetSecretValueCommand({ SecretId: arn, VersionStage: stage }),
  );
  return answer.SecretString!;
}

/** Every step of a rotation, in order: the new key is current before anything old is deleted. */
const ROTATION = [
  "create-replacement RandomPassword",
  "replace RandomPassword",
  "create-replacement SecretVersion",
  "replace SecretVersion",
  "update Command",
  "delete-replaced SecretVersion",
  "delete-replaced RandomPassword",
];

/** Completes an interrupted rotation as `npm run rotate` does. One key follows the previous one, which has its label. */
async function finishRotation(before: string): Promise<void> {
  const { stack } = environment;
  const { secretArn, apiKeyUrn } = await stack.outputs();
  const engine = engineOf(stack);
  expect(judgePending(await engine.plan(), apiKeyUrn!.value, "engine")).toBe("interrupted");
  await stack.up();
  expect(await readSecret(secretArn!.value)).not.toBe(before);
  expect(await readSecret(secretArn!.value, "AWSPREVIOUS")).toBe(before);
  await stack.preview({ expectNoChanges: true });
}

/** What the verification runs, apart from `node`. */
const VERIFY = "--import tsx scripts/cli.ts verify --from-env";

/** The command lines of all verifications, sorted. */
function programs(): string[] {
  return environment
    .verifications()
    .map(({ ARGUMENTS }) => ARGUMENTS!)
    .sort();
}

/** Process IDs of the engines that this process started. */
async function enginesOfThisProcess(): Promise<number[]> {
  const children = await run("ps", ["-o", "pid=,comm=", "--ppid", String(process.pid)]);
  return [...children.matchAll(/^\s*(\d+) pulumi$/gm)].map(([, pid]) => Number(pid));
}

/** Keys of the bundles in the stack's bucket. */
async function bundles(): Promise<string[]> {
  const [bucket] = await resourcesOf(environment.stack, "Bucket");
  const s3 = new S3Client({ ...client(), forcePathStyle: true });
  const { Contents } = await s3.send(new ListObjectsV2Command({ Bucket: bucket!.id, Prefix: "bundles/" }));
  return (Contents ?? []).map(({ Key }) => Key!);
}

async function instances(): Promise<string[]> {
  return (await resourcesOf(environment.stack, "Instance")).map(({ id }) => id);
}

/** The instance that has the address, as the state has it. */
async function holder(): Promise<unknown> {
  return (await resourcesOf(environment.stack, "EipAssociation"))[0]?.outputs.instanceId;
}

describe.skipIf(unsupported() !== undefined)("the stack on the real engine", () => {
  beforeAll(async () => {
    environment = await startEngineEnvironment();
  });
  afterAll(async () => {
    await environment?.stop();
  });

  it("rejects a wrong configuration before anything is created", async () => {
    const { stack } = environment;
    await stack.setConfig("qwen3-embedding-stack:contextLength", { value: "40960" });
    await expect(stack.up()).rejects.toThrow(
      /contextLength is 40960; allowed: a whole number of tokens from 64 to 32768/,
    );
    await stack.removeConfig("qwen3-embedding-stack:contextLength");
    const { deployment } = await stack.exportStack();
    expect(
      (deployment.resources ?? []).filter(({ type }: { type: string }) => type.startsWith("aws:")),
    ).toEqual([]);
  });

  it("rejects weights that cannot be read before anything is created", async () => {
    const { stack } = environment;
    const name = "qwen3-embedding-stack:modelSource";
    const source = await stack.getConfig(name);
    await stack.setConfig(name, { value: "s3://qwen3-local-models/missing" });
    await expect(stack.up()).rejects.toThrow(/modelSource is "s3:\/\/qwen3-local-models\/missing"/);
    await stack.setConfig(name, source);
  });

  it("is created with every output that app stacks and scripts need", async () => {
    const { outputs } = await environment.stack.up();
    expect(
      Object.fromEntries(Object.entries(outputs).map(([name, { value }]) => [name, value])),
    ).toMatchObject({
      endpoint: expect.stringMatching(/^https:\/\/10\.213\.250\.\d+\/v1$/),
      caCertificate: expect.stringMatching(/^-----BEGIN CERTIFICATE-----/),
      model: "Qwen3-Embedding-4B",
      dimensions: 2560,
      region: "us-east-1",
      instanceId: expect.stringMatching(/^i-[0-9a-f]{17}$/),
      secretArn: expect.stringMatching(
        /^arn:aws:secretsmanager:us-east-1:\d{12}:secret:qwen3-embedding-engine-default-/,
      ),
      apiKeyUrn: expect.stringMatching(/^urn:pulumi:engine::.*RandomPassword::/),
    });
    expect(Object.values(outputs).filter(({ secret }) => secret)).toEqual([]);
  });

  it("verifies with the secret's ARN and never with a key", async () => {
    const outputs = await environment.stack.outputs();
    const key = await readSecret(outputs.secretArn!.value);
    const [run] = environment.verifications();
    expect(run).toMatchObject({
      ARGUMENTS: VERIFY,
      VERIFY_ENDPOINT: outputs.endpoint!.value,
      VERIFY_SECRET_ARN: outputs.secretArn!.value,
    });
    expect(JSON.stringify(environment.verifications())).not.toContain(key);
  });

  it("contains keys in its state only encrypted", async () => {
    const outputs = await environment.stack.outputs();
    const key = await readSecret(outputs.secretArn!.value);
    expect(key).toMatch(/^qwen3_[0-9A-Za-z]{48}$/);
    const state = filesBelow(environment.backend);
    expect(state.length).toBeGreaterThan(0);
    for (const file of state) {
      expect(file.includes(key.slice("qwen3_".length)), "the API key").toBe(false);
      expect(/PRIVATE KEY/.test(file), "a private key").toBe(false);
    }
  });

  it("changes nothing in a second update", async () => {
    const { changeSummary, stdout } = await environment.stack.preview({ expectNoChanges: true });
    expect(stdout.match(/The update waits up to \d+ minutes/g)).toHaveLength(1);
    expect(Object.keys(changeSummary)).toEqual(["same"]);
  });

  it("rotates a key by replacing the password and the secret's version, and verifies again", async () => {
    const { stack } = environment;
    const outputs = await stack.outputs();
    const before = await readSecret(outputs.secretArn!.value);
    const events: EngineEvent[] = [];
    await stack.up({ replace: [outputs.apiKeyUrn!.value], onEvent: (event) => events.push(event) });
    expect(steps(events)).toEqual(ROTATION);
    const after = await readSecret(outputs.secretArn!.value);
    expect(after).not.toBe(before);
    expect(await readSecret(outputs.secretArn!.value, "AWSPREVIOUS")).toBe(before);
    // Of an update that changes keys alone, only the checks of keys can fail.
    expect(programs()).toEqual([VERIFY, `${VERIFY} --fail-on keys`]);
  });

  it("plans a rotation that changes only the password, the secret's version and the verification", async () => {
    const engine = engineOf(environment.stack);
    const urn = (await environment.stack.outputs()).apiKeyUrn!.value as string;
    expect(judgePending(await engine.plan(), urn, "engine")).toBe("ready");
    const plan = await engine.plan(urn);
    requireRotationAlone(plan, urn);
    expect([...new Set(plan.map((step) => step.urn.split("::")[2]!.split(":").at(-1)))].sort()).toEqual([
      "Command",
      "RandomPassword",
      "SecretVersion",
    ]);
    expect(() => requireRotationAlone([], urn)).toThrow(/not a rotation of/);
  });

  it("rejects a rotation while changed user data is pending, and shows it", async () => {
    const { stack } = environment;
    const urn = (await stack.outputs()).apiKeyUrn!.value as string;
    await stack.setConfig("qwen3-embedding-stack:maxInputs", { value: "1024" });
    const plan = await engineOf(stack).plan();
    await stack.removeConfig("qwen3-embedding-stack:maxInputs");
    expect(() => judgePending(plan, urn, "engine")).toThrow(
      /stack engine has pending changes other than the key; deploy or undo them first:[\s\S]*create {2}aws:ec2\/instance:Instance {2}qwen3-embedding-engine-[0-9a-f]{8}[\s\S]*delete {2}aws:ec2\/instance:Instance/,
    );
  });

  it("completes a rotation that failed between its two steps, with one new key", async () => {
    const { stack, aws } = environment;
    const { secretArn, apiKeyUrn } = await stack.outputs();
    const before = await readSecret(secretArn!.value);
    aws.fault = { action: "PutSecretValue", kind: "refuse" };
    await expect(stack.up({ replace: [apiKeyUrn!.value] })).rejects.toThrow(/refused by the test/);
    aws.fault = undefined;
    expect(await readSecret(secretArn!.value)).toBe(before);
    await finishRotation(before);
  });

  it("completes a rotation whose verification failed", async () => {
    const { stack, failVerifications } = environment;
    const { secretArn, apiKeyUrn } = await stack.outputs();
    const before = await readSecret(secretArn!.value);
    failVerifications(true);
    await expect(stack.up({ replace: [apiKeyUrn!.value] })).rejects.toThrow();
    failVerifications(false);
    const rotated = await readSecret(secretArn!.value);
    await finishRotation(before);
    expect(await readSecret(secretArn!.value)).toBe(rotated);
  });

  it("completes a rotation whose engine was killed between its two steps", async () => {
    const { stack, aws } = environment;
    const { secretArn, apiKeyUrn } = await stack.outputs();
    const before = await readSecret(secretArn!.value);
    aws.fault = { action: "PutSecretValue", kind: "hang" };
    const met = aws.met;
    const killed = expect(stack.up({ replace: [apiKeyUrn!.value] })).rejects.toThrow();
    await expect.poll(() => aws.met, { timeout: 120_000 }).toBeGreaterThan(met);
    for (const pid of await enginesOfThisProcess()) {
      process.kill(pid, "SIGKILL");
    }
    await killed;
    aws.fault = undefined;
    await stack.cancel();
    expect(await readSecret(secretArn!.value)).toBe(before);
    await finishRotation(before);
  });

  it("restores the declared key as a new version after somebody stored a value by hand", async () => {
    const { stack } = environment;
    const { secretArn, apiKeyUrn } = await stack.outputs();
    const declared = await readSecret(secretArn!.value);
    const secrets = new SecretsManagerClient(client());
    const byHand = "by-hand-by-hand-by-hand-by-hand-by-hand";
    await secrets.send(new PutSecretValueCommand({ SecretId: secretArn!.value, SecretString: byHand }));
    const { stdout } = await stack.preview();
    expect(stdout).toMatch(/the secret's current value, of 20\S+, is not the key that this stack declares/);
    expect(stdout).not.toContain(byHand);
    const plan = await engineOf(stack).plan();
    expect(() => judgePending(plan, apiKeyUrn!.value, "engine")).toThrow(
      /a value that this stack did not put/,
    );
    const events: EngineEvent[] = [];
    await stack.up({ onEvent: (event) => events.push(event) });
    expect(steps(events)).toEqual(ROTATION.filter((step) => !step.includes("RandomPassword")));
    expect(await readSecret(secretArn!.value)).toBe(declared);
    // The other key gets a grace period on the instance.
    expect(await readSecret(secretArn!.value, "AWSPREVIOUS")).toBe(byHand);
    await stack.preview({ expectNoChanges: true });
  });

  it("adds a client without changing the instance", async () => {
    const { stack } = environment;
    const before = programs();
    await stack.setConfig("qwen3-embedding-stack:clients[1]", { value: "search" }, true);
    await stack.setConfig("qwen3-embedding-stack:clients[0]", { value: "default" }, true);
    const events: EngineEvent[] = [];
    const { outputs } = await stack.up({ onEvent: (event) => events.push(event) });
    expect(Object.keys(outputs.secretArns!.value)).toEqual(["default", "search"]);
    expect(steps(events).filter((step) => /Instance$|Eip/.test(step))).toEqual([]);
    expect(programs()).toEqual([...before, `${VERIFY} --fail-on keys`].sort());
  });

  it("verifies strictly after any other change", async () => {
    const { stack } = environment;
    const before = programs();
    await stack.setConfig("qwen3-embedding-stack:verificationTimeoutSeconds", { value: "1799" });
    const events: EngineEvent[] = [];
    await stack.up({ onEvent: (event) => events.push(event) });
    expect(new Set(steps(events).map((step) => step.split(" ")[1]))).toEqual(
      new Set(["EmbeddingService", "Command"]),
    );
    expect(programs()).toEqual([...before, VERIFY].sort());
  });

  it("creates a changed instance beside the old one, which is deleted once the new one is verified", async () => {
    const { stack } = environment;
    const before = (await stack.outputs()).instanceId!.value;
    await stack.setConfig("qwen3-embedding-stack:maxInputs", { value: "512" });
    const events: EngineEvent[] = [];
    const { outputs } = await stack.up({ onEvent: (event) => events.push(event) });
    expect(outputs.instanceId!.value).not.toBe(before);
    const order = urnSteps(events).filter((step) =>
      /Instance |handover|EipAssociation|Verification/.test(step),
    );
    expect(order.map((step) => step.replace(/-[0-9a-f]{8}$/, ""))).toEqual([
      "create Instance qwen3-embedding-engine",
      "create-replacement Command qwen3-embedding-engine-handover",
      "replace Command qwen3-embedding-engine-handover",
      "create-replacement EipAssociation qwen3-embedding-engine",
      "replace EipAssociation qwen3-embedding-engine",
      "delete-replaced EipAssociation qwen3-embedding-engine",
      "delete-replaced Command qwen3-embedding-engine-handover",
      "delete Instance qwen3-embedding-engine",
    ]);
    expect(steps(events).filter((step) => /SecretVersion|RandomPassword/.test(step))).toEqual([]);
    const run = environment
      .handovers()
      .filter(({ HANDOVER_INSTANCE_ID }) => HANDOVER_INSTANCE_ID === outputs.instanceId!.value);
    expect(run).toEqual([expect.objectContaining({ HANDOVER_DRAIN_SECONDS: "60" })]);
  });

  it("does not move the address to an instance that fails, and undoing the change creates and moves nothing", async () => {
    const { stack, failHandovers } = environment;
    const before = (await stack.outputs()).instanceId!.value as string;
    // A setting of the bundle, so that its object in S3 changes too.
    await stack.setConfig("qwen3-embedding-stack:maxBodyBytes", { value: "65536" });
    const uploaded = await bundles();
    failHandovers(true);
    await expect(stack.up()).rejects.toThrow(/handover --from-env/);
    failHandovers(false);
    const failed = await instances();
    expect(failed).toHaveLength(2);
    expect(failed).toContain(before);
    expect(await holder()).toBe(before);

    await stack.removeConfig("qwen3-embedding-stack:maxBodyBytes");
    const events: EngineEvent[] = [];
    const { outputs } = await stack.up({ onEvent: (event) => events.push(event) });
    const undone = steps(events).filter((step) => /Instance$|Eip|BucketObject/.test(step));
    expect(undone.sort()).toEqual(["delete BucketObjectv2", "delete Instance"]);
    expect(await bundles()).toEqual(uploaded);
    expect(outputs.instanceId!.value).toBe(before);
    expect(await instances()).toEqual([before]);
    await stack.preview({ expectNoChanges: true });
  });

  it("leaves nothing behind, and can be created again under the same names", async () => {
    const { stack } = environment;
    const url = (await stack.outputs()).endpoint!.value;
    await stack.destroy();
    const left = {
      secrets: (
        await new SecretsManagerClient(client()).send(
          new ListSecretsCommand({ IncludePlannedDeletion: true }),
        )
      ).SecretList,
      roles: (await new IAMClient(client()).send(new ListRolesCommand({}))).Roles,
      profiles: (await new IAMClient(client()).send(new ListInstanceProfilesCommand({}))).InstanceProfiles,
      buckets: (
        await new S3Client({ ...client(), forcePathStyle: true }).send(new ListBucketsCommand({}))
      ).Buckets?.map(({ Name }) => Name),
    };
    expect(left).toEqual({ secrets: [], roles: [], profiles: [], buckets: ["qwen3-local-models"] });
    const { outputs } = await stack.up();
    expect(outputs.endpoint!.value).toBe(url);
    await stack.destroy();
  });
});
