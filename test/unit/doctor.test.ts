import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { lockId } from "../../components/bundle/bundle";
import { doctorCommand } from "../../scripts/doctor/command";
import type { Row } from "../../scripts/verify/row";
import { FakeAccount, healthyAccount } from "./fakes/account";
import { runCommand } from "./fakes/environment";

const AMI = "ami-0123456789abcdef0";
const NAME = "qwen3-embedding-test";
const SECRET_KEY = "doctor-secret-access-key";
const folder = mkdtempSync(join(tmpdir(), "qwen3-doctor-"));
const bin = join(folder, "bin");
const account = new FakeAccount();
let url: string;
let env: NodeJS.ProcessEnv;
let settings: Record<string, unknown>;
let region: string;

beforeAll(async () => {
  url = await account.listen();
  mkdirSync(bin);
  writeFileSync(join(folder, "Pulumi.yaml"), "name: qwen3-embedding-stack\nruntime: nodejs\n");
});

beforeEach(() => {
  account.state = healthyAccount();
  account.calls = [];
  region = "us-east-1";
  settings = { instanceType: "g6e.xlarge", allowedCidrs: ["203.0.113.0/24"] };
  env = {
    HOME: folder,
    PATH: bin,
    AWS_ENDPOINT_URL: url,
    AWS_ACCESS_KEY_ID: "AKIAIOSFODNN7EXAMPLE",
    AWS_SECRET_ACCESS_KEY: SECRET_KEY,
  };
  program("node", "v24.21.0");
  program("npm", "11.19.1");
  program("pulumi", "v3.265.0");
});

afterAll(async () => {
  await account.close();
  rmSync(folder, { recursive: true });
});

/** A program on PATH that prints its version. */
function program(name: string, version: string, code = 0): void {
  writeFileSync(join(bin, name), `#!/bin/sh\necho ${version}\nexit ${code}\n`);
  chmodSync(join(bin, name), 0o755);
}

function writeSettings(): void {
  const own = Object.entries(settings).map(([key, value]) => [`qwen3-embedding-stack:${key}`, value]);
  writeFileSync(
    join(folder, "Pulumi.test.yaml"),
    JSON.stringify({ config: { "aws:region": region, ...Object.fromEntries(own) } }),
  );
}

function run(...argv: string[]) {
  writeSettings();
  return runCommand(
    (context) => doctorCommand(context, { folder, hub: url }),
    ["--stack", "test", ...argv],
    env,
  );
}

/** Runs doctor. @returns the exit status, the failed rows, and the row of this name */
async function row(name: string) {
  const { status, stdout } = await run("--json");
  const { rows } = JSON.parse(stdout) as { rows: Row[] };
  const failed = rows.filter(({ ok, warning }) => ok === false && !warning).map((each) => each.name);
  return { status, failed, row: rows.find((each) => each.name === name)! };
}

/** Expects that this row fails, and no other. */
async function fails(name: string, evidence: RegExp, next: RegExp | string): Promise<void> {
  const result = await row(name);
  expect(result).toMatchObject({ status: 1, failed: [name] });
  expect(result.row.evidence).toMatch(evidence);
  expect(result.row.next).toMatch(next);
}

async function warns(name: string, evidence: RegExp, next: RegExp): Promise<void> {
  const result = await row(name);
  expect(result).toMatchObject({ status: 0, failed: [], row: { ok: false, warning: true } });
  expect(result.row.evidence).toMatch(evidence);
  expect(result.row.next).toMatch(next);
}

async function skips(name: string, evidence: RegExp): Promise<void> {
  const result = await row(name);
  expect(result).toMatchObject({ status: 0, failed: [], row: { ok: null } });
  expect(result.row.evidence).toMatch(evidence);
}

async function passes(name: string, evidence: RegExp): Promise<void> {
  const result = await row(name);
  expect(result).toMatchObject({ status: 0, failed: [], row: { ok: true } });
  expect(result.row.warning).toBe(false);
  expect(result.row.evidence).toMatch(evidence);
}

describe("npm run doctor", () => {
  it("passes every row of a healthy account without a warning, and calls read-only actions only", async () => {
    const { status, stdout, stderr } = await run();
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    expect(stdout).not.toMatch(/^[!✗]/m);
    expect(stdout).toMatch(
      /^✓ vCPU quota +8 vCPUs \(L-DB2E81BA, .*\), 0 used by other instances; needed: 8/m,
    );
    expect(stdout).toMatch(/\n15 passed, 0 failed, 4 skipped\n$/);
    expect(account.calls.length).toBeGreaterThan(10);
    expect(account.calls.filter((action) => !/:(Get|List|Describe)/.test(action))).toEqual([]);
  });

  it("prints one JSON document with a status for each row, and no credentials", async () => {
    const { stdout } = await run("--json");
    expect(JSON.parse(stdout)).toMatchObject({
      stack: "test",
      region: "us-east-1",
      ok: true,
      failed: 0,
      rows: expect.arrayContaining([{ name: "Node", ok: true, warning: false, evidence: "24.21.0" }]),
    });
    expect(stdout).not.toContain(SECRET_KEY);
  });

  it("accepts values as Pulumi writes them to the file, as text", async () => {
    Object.assign(settings, { verificationTimeoutSeconds: "1800", allowPublicAccess: "true" });
    expect(await run()).toMatchObject({ status: 0, stderr: "" });
  });

  it("rejects settings as a deployment does", async () => {
    settings.instanceType = "g4dn.xlarge";
    region = "us-east-7";
    const { status, stdout, stderr } = await run();
    expect({ status, stdout }).toEqual({ status: 1, stdout: "" });
    expect(stderr).toMatch(/aws:region is "us-east-7"; allowed: [\s\S]*instanceType is "g4dn.xlarge"/);
    expect(JSON.parse((await run("--json")).stdout)).toMatchObject({
      ok: false,
      error: expect.stringContaining("us-east-7"),
    });
  });

  it("rejects a stack without a file, and a name that a deployment rejects", async () => {
    const missing = await runCommand((context) => doctorCommand(context, { folder }), ["-s", "nowhere"], env);
    expect(missing).toMatchObject({ status: 2, stderr: expect.stringContaining("Pulumi.nowhere.yaml") });
    writeSettings();
    writeFileSync(join(folder, "Pulumi.Upper.yaml"), JSON.stringify({ config: { "aws:region": region } }));
    const upper = await runCommand((context) => doctorCommand(context, { folder }), ["-s", "Upper"], env);
    expect(upper.status).toBe(1);
  });
});

describe("tools", () => {
  it("fails for an old Node", async () => {
    program("node", "v20.20.2");
    await fails("Node", /^20\.20\.2; required: 22\.19\.0 or later/, "npm ci");
  });

  it("fails for an old npm, and for none", async () => {
    program("npm", "9.9.4");
    await fails("npm", /^9\.9\.4; required: 10/, "npm install");
    rmSync(join(bin, "npm"));
    await fails("npm", /npm can't be run/, "npm install");
  });

  it("fails for a Pulumi that doesn't run, and warns of an old one", async () => {
    program("pulumi", "broken", 1);
    await fails("Pulumi", /version failed/, "install");
    program("pulumi", "v3.200.0");
    await warns("Pulumi", /^3\.200\.0 .*tested: 3\.259\.0/, /update Pulumi/);
  });

  it("does not run npm's installer of Pulumi", async () => {
    rmSync(join(bin, "pulumi"));
    await passes("Pulumi", /^3\.\d+\.\d+, which npx pulumi downloads when it is first used$/);
  });
});

describe("credentials, clock and region", () => {
  it("fails for rejected credentials, and skips what needs them", async () => {
    account.state.errors["sts:GetCallerIdentity"] = { code: "ExpiredToken", message: "expired" };
    await fails("credentials", /expired/, "aws sso login and set AWS_PROFILE");
    const { stdout } = await run();
    expect(stdout).toMatch(/^– zones +skipped: no credentials that AWS accepts$/m);
    expect(account.calls).toEqual(["sts:GetCallerIdentity", "sts:GetCallerIdentity"]);
  });

  it("fails if nothing listens, and has no time to compare with", async () => {
    env.AWS_ENDPOINT_URL = "http://127.0.0.1:1";
    await fails("credentials", /ECONNREFUSED/, "check the connection to AWS");
    expect((await row("clock")).row).toMatchObject({ ok: null });
  });

  it("warns of the root user", async () => {
    account.state.arn = "arn:aws:iam::123456789012:root";
    await warns("credentials", /the root user of account 123456789012/, /sign in as a role/);
  });

  it.each([-400_000, 400_000])("fails if AWS's clock is %d ms away", async (ms) => {
    account.state.clockMs = ms;
    const aws = ms > 0 ? "behind" : "ahead of";
    await fails("clock", new RegExp(`(399|400|401) s ${aws} AWS's; AWS rejects`), "timedatectl");
  });

  it("warns of a clock that is two minutes away", async () => {
    account.state.clockMs = 120_000;
    await warns("clock", /1(19|20|21) s behind/, /timedatectl/);
  });

  it("fails for a region that is not enabled", async () => {
    account.state.regions["us-east-1"] = "not-opted-in";
    await fails("region", /us-east-1 is not enabled/, "aws account enable-region --region-name us-east-1");
  });
});

describe("capacity", () => {
  it("fails for a type that the region does not have", async () => {
    account.state.types = {};
    const { status, failed, row: type } = await row("instance type");
    expect(status).toBe(1);
    expect(failed).toEqual(["instance type", "vCPU quota"]);
    expect(type).toMatchObject({ evidence: "us-east-1 has no g6e.xlarge", next: /set instanceType/ });
  });

  it("fails if no zone offers the type, or not the one of the settings", async () => {
    account.state.zones = {};
    await fails("zones", /no zone of us-east-1 offers g6e\.xlarge/, "set instanceType or aws:region");
    account.state.zones = { "g6e.xlarge": ["us-east-1b", "us-east-1-atl-2a"] };
    settings.availabilityZone = "us-east-1c";
    await fails("zones", /us-east-1c does not offer g6e\.xlarge; us-east-1b do/, "set availabilityZone");
  });

  it("fails if the quota is too small for one instance", async () => {
    account.state.quotas["L-DB2E81BA"] = 0;
    await fails(
      "vCPU quota",
      /^0 vCPUs .*needs 4, and 8 while/,
      "aws service-quotas request-service-quota-increase --service-code ec2 --quota-code L-DB2E81BA --desired-value 8 --region us-east-1",
    );
  });

  it("warns if the quota suffices for one instance, but not for its replacement beside it", async () => {
    account.state.quotas["L-DB2E81BA"] = 4;
    await warns("vCPU quota", /enough for the first 4, but the stack needs 8/, /--desired-value 8/);
  });

  it("counts other instances of the same quota, and not the stack's own, Spot or other families", async () => {
    account.state.instances = [
      { type: "g5.12xlarge" },
      { type: "g6e.xlarge", name: NAME },
      { type: "g6e.xlarge", spot: true },
      { type: "p5.4xlarge" },
    ];
    account.state.quotas["L-DB2E81BA"] = 51;
    await fails("vCPU quota", /^51 vCPUs .*48 used by other instances/, "--desired-value 56");
  });

  it("counts every instance of a fleet, and one more", async () => {
    Object.assign(settings, { domain: "e.example.com", instancesMin: 2, instancesMax: 5 });
    account.state.hostedZones = [{ id: "Z1", name: "example.com" }];
    account.state.quotas["L-DB2E81BA"] = 8;
    await warns("vCPU quota", /the first 8, but the stack needs 24/, /--desired-value 24/);
    account.state.quotas["L-DB2E81BA"] = 7;
    await fails("vCPU quota", /needs 8, and 24/, "--desired-value 24");
  });

  it.each([
    ["g6e.xlarge", "spot", "L-3819A6DF"],
    ["p5.4xlarge", "spot", "L-C4BD4855"],
    ["p5.4xlarge", "on-demand", "L-417A185B"],
  ])("uses the quota of %s, %s: %s", async (instanceType, purchaseOption, code) => {
    Object.assign(settings, { instanceType, purchaseOption });
    account.state.quotas = { ...account.state.quotas, [code]: 1000 };
    await passes("vCPU quota", new RegExp(`^1000 vCPUs \\(${code}`));
  });

  describe("in a reservation", () => {
    const id = "cr-0123456789abcdef0";
    const found = { id, state: "active", type: "g6e.xlarge", zone: "us-east-1b", free: 1 };

    beforeEach(() => {
      Object.assign(settings, {
        purchaseOption: "reservation",
        capacityReservationId: id,
        availabilityZone: "us-east-1b",
      });
      account.state.reservations = [found];
    });

    it("passes if it is active and free", () => passes("capacity reservation", /active, 1 free/));

    it.each([
      [{ state: "cancelled" }, /is cancelled/],
      [{ zone: "us-east-1a" }, /for g6e\.xlarge in us-east-1a, not for g6e\.xlarge in us-east-1b/],
      [{ type: "p5.4xlarge" }, /for p5\.4xlarge/],
      [{ free: 0 }, /no free instance/],
      [{ id: "cr-1111111111" }, /there is no cr-0123456789abcdef0/],
    ])("fails for %j", async (change, evidence) => {
      account.state.reservations = [{ ...found, ...change }];
      await fails("capacity reservation", evidence, /./);
    });

    it("accepts a full one in which the stack itself runs", async () => {
      account.state.reservations = [{ ...found, free: 0 }];
      account.state.instances = [{ type: "g6e.xlarge", name: NAME }];
      await passes("capacity reservation", /active, 0 free/);
    });

    it("warns of a capacity block that has not begun", async () => {
      account.state.reservations = [{ ...found, state: "scheduled", start: "2027-01-01T11:30:00.000Z" }];
      await warns("capacity reservation", /begins at 2027-01-01T11:30/, /deploy after that/);
    });
  });
});

describe("network", () => {
  it("fails if the account has as many VPCs as it may have, unless one is this stack's", async () => {
    account.state.vpcs = ["a", "b", "c", "d", "e"];
    await fails(
      "VPC quota",
      /^5 \(L-F678F1CE, .*5 used by others; this stack needs one/,
      "--desired-value 6",
    );
    account.state.vpcs = ["a", "b", "c", "d", NAME];
    await passes("VPC quota", /4 used by others/);
  });

  it("compares Elastic IP addresses with AWS's default if the account has no value of its own", async () => {
    account.state.addresses = ["a", "b", "c", "d", "e"];
    await fails("Elastic IP quota", /^5 \(L-0263D0A3/, "--quota-code L-0263D0A3 --desired-value 6");
  });

  describe("in an existing VPC", () => {
    const subnets = ["subnet-0123456789abcdef0", "subnet-0123456789abcdef1"] as const;
    const at = (zone: string, vpc = "vpc-0123456789abcdef0") => ({ zone, vpc });

    beforeEach(() => {
      Object.assign(settings, { vpcId: "vpc-0123456789abcdef0", subnetIds: [...subnets] });
    });

    it.each([
      [at("us-east-1a"), at("us-east-1b", "vpc-1"), /is in vpc-1, not in vpcId/],
      [at("us-east-1a"), at("us-east-1a"), /are in one zone/],
      [at("us-east-1e"), at("us-east-1f"), /us-east-1a, us-east-1b offer g6e\.xlarge/],
    ])("fails for subnets %j and %j", async (first, second, evidence) => {
      account.state.subnets = { [subnets[0]]: first, [subnets[1]]: second };
      await fails("subnets", evidence, "aws ec2 describe-subnets");
    });

    it("fails for a subnet that does not exist", async () => {
      account.state.errors["ec2:DescribeSubnets"] = { code: "InvalidSubnetID.NotFound", status: 400 };
      await fails("subnets", /NotFound/, "set subnetIds");
    });

    it("passes, and needs no VPC", async () => {
      account.state.subnets = { [subnets[0]]: at("us-east-1a"), [subnets[1]]: at("us-east-1b") };
      account.state.vpcs = ["a", "b", "c", "d", "e"];
      await passes("subnets", /in us-east-1a, us-east-1b$/);
    });
  });

  describe("with a domain", () => {
    beforeEach(() => {
      settings.domain = "embeddings.example.com";
      account.state.quotas["L-DB2E81BA"] = 100;
    });

    it("fails without a public hosted zone", async () => {
      account.state.hostedZones = [
        { id: "Z1", name: "example.org" },
        { id: "Z2", name: "example.com", isPrivate: true },
      ];
      await fails("hosted zone", /no public hosted zone of embeddings\.example\.com/, "create a public");
    });

    it("finds the one with the longest name", async () => {
      account.state.hostedZones = [
        { id: "Z1", name: "example.com" },
        { id: "Z2", name: "embeddings.example.com" },
      ];
      await passes("hosted zone", /^embeddings\.example\.com \(Z2\)$/);
    });

    it.each([
      [[], /there is no hosted zone Z0123456789/],
      [[{ id: "Z0123456789", name: "example.org" }], /is that of example\.org/],
      [[{ id: "Z0123456789", name: "example.com", isPrivate: true }], /is private/],
    ])("fails for hostedZoneId with %j", async (hostedZones, evidence) => {
      settings.hostedZoneId = "Z0123456789";
      account.state.hostedZones = hostedZones;
      await fails("hosted zone", evidence, /hostedZoneId/);
    });
  });
});

describe("image, weights and packages", () => {
  const image = healthyAccount().images[AMI]!;

  it.each([
    [undefined, /there is no ami-/],
    [{ ...image, state: "pending" }, /is pending/],
    [{ ...image, architecture: "arm64" }, /for arm64/],
    [{ ...image, gib: 5000 }, /needs a root volume of 5000 GiB/],
  ])("fails for the image %j", async (found, evidence) => {
    account.state.images = found ? { [AMI]: found } : {};
    await fails("image", evidence, /set (imageId|rootVolumeGib)/);
  });

  it("fails for an image of another region", async () => {
    account.state.errors["ec2:DescribeImages"] = { code: "InvalidAMIID.NotFound", status: 400 };
    await fails("image", /there is no ami-.* in us-east-1/, /set imageId/);
  });

  it("warns of an old image of the settings, and of a deprecated one", async () => {
    settings.imageId = AMI;
    account.state.images[AMI] = { ...image, created: "2024-01-01T00:00:00.000Z" };
    await warns("image", /\d{3,} days old/, /set imageId/);
    account.state.images[AMI] = { ...image, deprecated: "2026-01-01T00:00:00.000Z" };
    await warns("image", /deprecated since 2026-01-01/, /set imageId/);
  });

  it("fails for weights that the Hub does not have, and only warns if it can't be reached", async () => {
    account.state.hub = 404;
    await fails("weights", /resolve\/\w{40}\/config\.json returned 404/, "set modelSource");
    writeSettings();
    const unreachable = await runCommand(
      (context) => doctorCommand(context, { folder, hub: "http://127.0.0.1:1" }),
      ["--stack", "test"],
      env,
    );
    expect(unreachable.status).toBe(0);
    expect(unreachable.stdout).toMatch(/^! weights .*can't be reached from here/m);
  });

  it("fails for weights and packages in S3 that are not there or can't be read", async () => {
    settings.modelSource = "s3://models/qwen3/model";
    await fails(
      "weights",
      /s3:\/\/models\/qwen3\/model\/SHA256SUMS can't be read: no such/,
      "npm run mirror",
    );
    account.state.errors["s3:GetObject"] = { code: "AccessDenied", status: 403 };
    await fails("weights", /access denied/, "grant s3:GetObject");
    account.state.errors = {};
    account.state.objects = ["models/qwen3/model/SHA256SUMS"];
    settings.packageMirror = "s3://models/qwen3/packages";
    await fails("package mirror", /packages\/\w+\.complete can't be read/, "npm run mirror");
    account.state.objects.push(`models/qwen3/packages/${lockId()}.complete`);
    await passes("package mirror", /complete$/);
  });
});

describe("names", () => {
  it("warns of secrets of the stack that are scheduled for deletion, and of no others", async () => {
    account.state.secrets = {
      [`${NAME}-default-AbCdEf`]: true,
      [`${NAME}-search-AbCdEf`]: false,
      "other-AbCdEf": true,
    };
    await warns(
      "deleted secrets",
      /^scheduled for deletion: qwen3-embedding-test-default-AbCdEf;/,
      /restore-secret --secret-id qwen3-embedding-test-default-AbCdEf --region us-east-1/,
    );
  });

  it("warns of a bucket without an instance, and accepts that of a running stack", async () => {
    const own = `${NAME}-20261127234433762900000011`;
    // The second one is that of another stack, whose name begins with this one's.
    account.state.buckets = [own, `${NAME}-eu-20261127234433762900000012`, "another"];
    await warns(
      "bucket",
      /^qwen3-embedding-test-20261127234433762900000011 exists, but no instance/,
      /aws s3 rb/,
    );
    account.state.instances = [{ type: "g6e.xlarge", name: NAME }];
    await passes("bucket", /instances of this stack are running/);
  });
});

describe("denied actions", () => {
  it.each([
    ["ec2:DescribeRegions", "UnauthorizedOperation", "region"],
    ["ec2:DescribeInstanceTypes", "UnauthorizedOperation", "instance type"],
    ["ec2:DescribeInstanceTypeOfferings", "UnauthorizedOperation", "zones"],
    ["ec2:DescribeInstances", "UnauthorizedOperation", "vCPU quota"],
    ["servicequotas:GetServiceQuota", "AccessDeniedException", "vCPU quota"],
    ["servicequotas:GetServiceQuota", "AccessDeniedException", "Elastic IP quota"],
    ["ec2:DescribeVpcs", "UnauthorizedOperation", "VPC quota"],
    ["ec2:DescribeAddresses", "UnauthorizedOperation", "Elastic IP quota"],
    ["ssm:GetParameter", "AccessDeniedException", "image"],
    ["ec2:DescribeImages", "UnauthorizedOperation", "image"],
    ["secretsmanager:ListSecrets", "AccessDeniedException", "deleted secrets"],
    ["s3:ListAllMyBuckets", "AccessDenied", "bucket"],
  ])("%s skips its row and fails none", async (action, code, name) => {
    account.state.errors[action] = {
      code,
      message: `You are not authorized. User: x is not authorized to perform: ${action} on resource: *`,
    };
    await skips(name, new RegExp(`^skipped: the role may not call .*${action}`));
  });

  it("skips the hosted zone and the reservation too", async () => {
    Object.assign(settings, {
      domain: "e.example.com",
      purchaseOption: "reservation",
      capacityReservationId: "cr-0123456789abcdef0",
      availabilityZone: "us-east-1a",
    });
    account.state.errors["route53:ListHostedZones"] = { code: "AccessDenied", status: 403 };
    account.state.errors["ec2:DescribeCapacityReservations"] = { code: "UnauthorizedOperation" };
    await skips("hosted zone", /^skipped: the role may not call route53:ListHostedZones/);
    await skips("capacity reservation", /^skipped: the role may not call ec2:DescribeCapacityReservations/);
  });

  it("other errors fail the row with AWS's own words", async () => {
    account.state.errors["ec2:DescribeVpcs"] = { code: "InternalError", message: "try later", status: 500 };
    await fails("VPC quota", /try later/, "run doctor again");
  });
});
