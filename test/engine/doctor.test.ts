import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CreateVpcCommand, EC2Client } from "@aws-sdk/client-ec2";
import { CreateHostedZoneCommand, Route53Client } from "@aws-sdk/client-route-53";
import { CreateBucketCommand, PutObjectCommand, S3Client } from "@aws-sdk/client-s3";
import {
  CreateSecretCommand,
  DeleteSecretCommand,
  SecretsManagerClient,
} from "@aws-sdk/client-secrets-manager";
import { afterAll, beforeAll, expect, it } from "vitest";
import { ADMINISTRATOR } from "../../local/aws/administrator";
import { type Emulator, startEmulator } from "../../local/aws/emulator";
import { doctorCommand } from "../../scripts/doctor/command";
import type { Row } from "../../scripts/verify/row";
import { freePort } from "../freePort";
import { runCommand } from "../unit/fakes/environment";

const AMI = "ami-0123456789abcdef0";
const BUCKET = "doctor-weights";
const state = mkdtempSync(join(tmpdir(), "qwen3-doctor-test-"));
let emulator: Emulator;
let config: { endpoint: string; region: string; credentials: typeof ADMINISTRATOR };

beforeAll(async () => {
  emulator = await startEmulator({ stateDir: state, host: "127.0.0.1", port: await freePort(), ami: AMI });
  config = { endpoint: emulator.url, region: "us-east-1", credentials: ADMINISTRATOR };
  const s3 = new S3Client({ ...config, forcePathStyle: true });
  await s3.send(new CreateBucketCommand({ Bucket: BUCKET }));
  await s3.send(new PutObjectCommand({ Bucket: BUCKET, Key: "model/SHA256SUMS", Body: "sums" }));
  s3.destroy();
  writeFileSync(join(state, "Pulumi.yaml"), "name: qwen3-embedding-stack\nruntime: nodejs\n");
});

afterAll(async () => {
  await emulator?.stop();
  rmSync(state, { recursive: true, force: true });
});

/** Runs doctor for a stack with these settings in addition to the required ones. @returns its rows by name */
async function doctor(stack: string, settings: Record<string, unknown> = {}) {
  const all = {
    instanceType: "g5.xlarge",
    modelSource: `s3://${BUCKET}/model`,
    allowedCidrs: ["203.0.113.0/24"],
    ...settings,
  };
  const own = Object.entries(all).map(([key, value]) => [`qwen3-embedding-stack:${key}`, value]);
  writeFileSync(
    join(state, `Pulumi.${stack}.yaml`),
    JSON.stringify({ config: { "aws:region": "us-east-1", ...Object.fromEntries(own) } }),
  );
  const env = {
    PATH: process.env.PATH,
    HOME: state,
    AWS_ENDPOINT_URL: emulator.url,
    AWS_ACCESS_KEY_ID: ADMINISTRATOR.accessKeyId,
    AWS_SECRET_ACCESS_KEY: ADMINISTRATOR.secretAccessKey,
  };
  const { status, stdout, stderr } = await runCommand(
    (context) => doctorCommand(context, { folder: state }),
    ["--stack", stack, "--json"],
    env,
  );
  expect(stderr).toBe("");
  const { rows } = JSON.parse(stdout) as { rows: Row[] };
  return { status, rows: Object.fromEntries(rows.map((row) => [row.name, row])) };
}

it("passes every row that the emulator can serve, and skips those that it can't with the reason", async () => {
  const { status, rows } = await doctor("first");
  const skipped = Object.values(rows).filter(({ ok }) => ok === null);
  expect(Object.values(rows).filter(({ ok }) => ok === false)).toEqual([]);
  expect(status).toBe(0);
  expect(Object.fromEntries(skipped.map(({ name, evidence }) => [name, evidence]))).toEqual({
    "capacity reservation": "purchaseOption is on-demand",
    // moto has the quotas of VPCs only.
    "vCPU quota": expect.stringContaining("not emulated: servicequotas:GetAWSDefaultServiceQuota"),
    "Elastic IP quota": expect.stringContaining("not emulated: servicequotas:GetAWSDefaultServiceQuota"),
    subnets: "vpcId is not set",
    "hosted zone": "domain is not set",
    "package mirror": "packageMirror is not set",
  });
  expect(rows.credentials!.evidence).toContain("account 123456789012");
  expect(rows["instance type"]!.evidence).toBe("g5.xlarge, 4 vCPUs");
  expect(rows.zones!.evidence).toMatch(/us-east-1a.* offer g5\.xlarge; used: us-east-1a$/);
  expect(rows.image!.evidence).toContain(AMI);
  expect(rows.weights!.evidence).toBe(`s3://${BUCKET}/model/SHA256SUMS`);
});

it("fails for a domain without a hosted zone, until there is one", async () => {
  const settings = { domain: "embeddings.example.com" };
  const without = await doctor("domain", settings);
  expect(without.status).toBe(1);
  expect(without.rows["hosted zone"]).toMatchObject({
    ok: false,
    next: expect.stringContaining("hosted zone"),
  });
  const route53 = new Route53Client(config);
  await route53.send(new CreateHostedZoneCommand({ Name: "example.com", CallerReference: "doctor" }));
  const created = await doctor("domain", settings);
  expect(created).toMatchObject({ status: 0, rows: { "hosted zone": { ok: true } } });
  expect(created.rows["hosted zone"]!.evidence).toMatch(/^example\.com \(Z?[A-Z0-9]+\)$/);
});

it("warns of a secret of the stack's name that is scheduled for deletion", async () => {
  const secrets = new SecretsManagerClient(config);
  const Name = "qwen3-embedding-again-default-AbCdEf";
  await secrets.send(new CreateSecretCommand({ Name, SecretString: "x" }));
  expect((await doctor("again")).rows["deleted secrets"]).toMatchObject({ ok: true, warning: false });
  await secrets.send(new DeleteSecretCommand({ SecretId: Name, RecoveryWindowInDays: 7 }));
  const { status, rows } = await doctor("again");
  expect(status).toBe(0);
  expect(rows["deleted secrets"]).toMatchObject({
    warning: true,
    evidence: expect.stringContaining(Name),
    next: expect.stringContaining(`restore-secret --secret-id ${Name}`),
  });
});

it("fails for weights that are not there", async () => {
  const { status, rows } = await doctor("weights", { modelSource: `s3://${BUCKET}/another` });
  expect(status).toBe(1);
  expect(rows.weights!.evidence).toBe(`s3://${BUCKET}/another/SHA256SUMS can't be read: no such object`);
});

it("warns of a bucket that an earlier stack left", async () => {
  const s3 = new S3Client({ ...config, forcePathStyle: true });
  await s3.send(new CreateBucketCommand({ Bucket: "qwen3-embedding-left-20261127234433762900000011" }));
  expect((await doctor("left")).rows.bucket).toMatchObject({
    warning: true,
    evidence: expect.stringContaining("qwen3-embedding-left-20261127234433762900000011"),
  });
});

it("fails once the quota of VPCs is used up", async () => {
  const ec2 = new EC2Client(config);
  const before = await doctor("vpcs");
  const [, quota, used] = /^(\d+) .* (\d+) used/.exec(before.rows["VPC quota"]!.evidence)!;
  for (let count = Number(used); count < Number(quota); count++) {
    await ec2.send(new CreateVpcCommand({ CidrBlock: "10.99.0.0/16" }));
  }
  const { status, rows } = await doctor("vpcs");
  expect(status).toBe(1);
  expect(rows["VPC quota"]).toMatchObject({
    ok: false,
    next: expect.stringContaining("--quota-code L-F678F1CE --desired-value 6"),
  });
});
