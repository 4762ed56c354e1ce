import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  AddRoleToInstanceProfileCommand,
  CreateInstanceProfileCommand,
  CreatePolicyCommand,
  CreateRoleCommand,
  DeleteRolePermissionsBoundaryCommand,
  GenerateServiceLastAccessedDetailsCommand,
  IAMClient,
  ListRolesCommand,
  PutRolePermissionsBoundaryCommand,
  PutRolePolicyCommand,
} from "@aws-sdk/client-iam";
import {
  CreateBucketCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  PutBucketPolicyCommand,
  PutObjectCommand,
  S3Client,
} from "@aws-sdk/client-s3";
import {
  CreateSecretCommand,
  DeleteSecretCommand,
  GetSecretValueCommand,
  ListSecretVersionIdsCommand,
  PutSecretValueCommand,
  SecretsManagerClient,
} from "@aws-sdk/client-secrets-manager";
import {
  GetCommandInvocationCommand,
  GetParameterCommand,
  SendCommandCommand,
  SSMClient,
} from "@aws-sdk/client-ssm";
import { GetCallerIdentityCommand, STSClient } from "@aws-sdk/client-sts";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Emulator, emulatorPython, startEmulator } from "../../local/aws/emulator";
import { endProcess, run, waitUntil } from "../../local/process";
import { SERVICES } from "../../local/realProvider";
import { freePort } from "../freePort";

const AMI = "ami-0123456789abcdef0";
const AMI_PARAMETER =
  "/aws/service/deeplearning/ami/x86_64/base-oss-nvidia-driver-gpu-ubuntu-24.04/latest/ami-id";
const PROFILE = "server";

interface Credentials {
  accessKeyId: string;
  secretAccessKey: string;
  sessionToken?: string;
}

const ADMINISTRATOR: Credentials = { accessKeyId: "AKIALOCALADMINISTRATOR", secretAccessKey: "local" };

const state = mkdtempSync(join(tmpdir(), "qwen3-emulator-"));
let emulator: Emulator;

beforeAll(async () => {
  emulator = await startEmulator({ stateDir: state, host: "127.0.0.1", port: await freePort(), ami: AMI });
});

afterAll(async () => {
  await emulator?.stop();
  rmSync(state, { recursive: true, force: true });
});

describe("Secrets Manager", () => {
  it("moves AWSCURRENT and AWSPREVIOUS with every new value", async () => {
    const secrets = secretsAs();
    const { ARN, VersionId: first } = await secrets.send(
      new CreateSecretCommand({ Name: "labels", SecretString: "one" }),
    );
    const { VersionId: second } = await secrets.send(
      new PutSecretValueCommand({ SecretId: ARN, SecretString: "two" }),
    );
    expect(await labels("labels")).toEqual({ [first!]: ["AWSPREVIOUS"], [second!]: ["AWSCURRENT"] });
    const { VersionId: third } = await secrets.send(
      new PutSecretValueCommand({ SecretId: "labels", SecretString: "three" }),
    );
    expect(await labels(ARN!)).toEqual({ [second!]: ["AWSPREVIOUS"], [third!]: ["AWSCURRENT"] });
    expect(await readValue(secrets, ARN!)).toBe("three");
    expect(await readValue(secrets, ARN!, "AWSPREVIOUS")).toBe("two");
  });

  it("uses the caller's token as the version's ID, once for each value", async () => {
    const secrets = secretsAs();
    const [first, second] = ["a".repeat(32), "b".repeat(32)];
    await secrets.send(
      new CreateSecretCommand({ Name: "tokens", SecretString: "one", ClientRequestToken: first }),
    );
    const put = (value: string, token: string) =>
      secrets.send(
        new PutSecretValueCommand({ SecretId: "tokens", SecretString: value, ClientRequestToken: token }),
      );
    await put("two", second);
    await put("two", second);
    expect(await labels("tokens")).toEqual({ [first]: ["AWSPREVIOUS"], [second]: ["AWSCURRENT"] });
    await expect(put("three", second)).rejects.toMatchObject({ name: "ResourceExistsException" });
    expect(await readValue(secrets, "tokens")).toBe("two");
  });

  it("keeps the date at which each version was created", async () => {
    const secrets = secretsAs();
    await secrets.send(new CreateSecretCommand({ Name: "dates", SecretString: "one" }));
    await new Promise((resolve) => setTimeout(resolve, 1_100));
    await secrets.send(new PutSecretValueCommand({ SecretId: "dates", SecretString: "two" }));
    const { Versions } = await secrets.send(new ListSecretVersionIdsCommand({ SecretId: "dates" }));
    const created = (label: string) =>
      Versions!.find(({ VersionStages }) => VersionStages!.includes(label))!.CreatedDate!.getTime();
    expect(created("AWSCURRENT") - created("AWSPREVIOUS")).toBeGreaterThanOrEqual(1_000);
    expect(Math.abs(Date.now() - created("AWSCURRENT"))).toBeLessThan(10_000);
  });

  it("releases a name only if its secret was deleted without recovery", async () => {
    const secrets = secretsAs();
    const create = () => secrets.send(new CreateSecretCommand({ Name: "reused", SecretString: "one" }));
    await create();
    await expect(create()).rejects.toMatchObject({ name: "ResourceExistsException" });
    await secrets.send(new DeleteSecretCommand({ SecretId: "reused", RecoveryWindowInDays: 7 }));
    await expect(create()).rejects.toMatchObject({
      name: "InvalidRequestException",
      message: expect.stringContaining("scheduled for deletion"),
    });
    await expect(readValue(secrets, "reused")).rejects.toMatchObject({ name: "InvalidRequestException" });
    await secrets.send(new DeleteSecretCommand({ SecretId: "reused", ForceDeleteWithoutRecovery: true }));
    await create();
    expect(await readValue(secrets, "reused")).toBe("one");
  });
});

describe("the session of an instance profile", () => {
  let own: string;
  let other: string;

  beforeAll(async () => {
    own = await createSecret("own", "key of this stack");
    other = await createSecret("other", "key of another stack");
    const s3 = s3As();
    for (const bucket of ["own-bucket", "other-bucket"]) {
      await s3.send(new CreateBucketCommand({ Bucket: bucket }));
      await s3.send(new PutObjectCommand({ Bucket: bucket, Key: "config/index.json", Body: "{}" }));
    }
    // The stack's bucket policy must not block plain HTTP to the emulator.
    await s3.send(
      new PutBucketPolicyCommand({
        Bucket: "own-bucket",
        Policy: policy({
          Effect: "Deny",
          Principal: "*",
          Action: "s3:*",
          Resource: ["arn:aws:s3:::own-bucket", "arn:aws:s3:::own-bucket/*"],
          Condition: { Bool: { "aws:SecureTransport": "false" } },
        }),
      }),
    );
    await createProfile(
      { Effect: "Allow", Action: ["secretsmanager:GetSecretValue"], Resource: [own] },
      { Effect: "Allow", Action: "s3:GetObject", Resource: "arn:aws:s3:::own-bucket/config/*" },
      {
        Effect: "Allow",
        Action: "s3:ListBucket",
        Resource: "arn:aws:s3:::own-bucket",
        Condition: { StringLike: { "s3:prefix": ["config/*"] } },
      },
    );
  });

  it("is a session of the role", async () => {
    const { Arn } = await new STSClient(as(await session())).send(new GetCallerIdentityCommand({}));
    expect(Arn).toMatch(/^arn:aws:sts::\d{12}:assumed-role\/server\//);
  });

  it("reads only its own secret, by ARN and by name", async () => {
    const secrets = secretsAs(await session());
    expect(await readValue(secrets, own)).toBe("key of this stack");
    expect(await readValue(secrets, "own")).toBe("key of this stack");
    for (const id of [other, "other"]) {
      await expect(readValue(secrets, id)).rejects.toMatchObject({
        name: "AccessDeniedException",
        message: expect.stringContaining(
          `is not authorized to perform: secretsmanager:GetSecretValue on resource: ${other}`,
        ),
      });
    }
  });

  it("cannot write the secret that it reads", async () => {
    const put = new PutSecretValueCommand({ SecretId: own, SecretString: "another" });
    await expect(secretsAs(await session()).send(put)).rejects.toMatchObject({
      name: "AccessDeniedException",
    });
    expect(await readValue(secretsAs(), own)).toBe("key of this stack");
  });

  it("reads only its own object and lists only below its own prefix", async () => {
    const s3 = s3As(await session());
    const read = (Bucket: string) => s3.send(new GetObjectCommand({ Bucket, Key: "config/index.json" }));
    const list = (Prefix?: string) => s3.send(new ListObjectsV2Command({ Bucket: "own-bucket", Prefix }));
    const { Body, ETag } = await read("own-bucket");
    expect(await Body!.transformToString()).toBe("{}");
    expect((await list("config/")).KeyCount).toBe(1);
    for (const denied of [() => read("other-bucket"), () => list(), () => list("bundles/")]) {
      await expect(denied()).rejects.toMatchObject({
        name: "AccessDenied",
        $metadata: { httpStatusCode: 403 },
      });
    }
    const unchanged = new GetObjectCommand({
      Bucket: "own-bucket",
      Key: "config/index.json",
      IfNoneMatch: ETag,
    });
    await expect(s3.send(unchanged)).rejects.toMatchObject({ $metadata: { httpStatusCode: 304 } });
  });

  it("has no permission that the permissions boundary of the role lacks, and none that only the boundary has", async () => {
    const iam = new IAMClient(as());
    const secrets = secretsAs(await session());
    const limit = async (name: string, Resource: string) => {
      const PolicyDocument = policy({ Effect: "Allow", Action: ["secretsmanager:GetSecretValue"], Resource });
      const { Policy } = await iam.send(new CreatePolicyCommand({ PolicyName: name, PolicyDocument }));
      const PermissionsBoundary = Policy!.Arn!;
      await iam.send(new PutRolePermissionsBoundaryCommand({ RoleName: PROFILE, PermissionsBoundary }));
    };
    const denied = { name: "AccessDeniedException" };
    await limit("own-only", own);
    expect(await readValue(secrets, own)).toBe("key of this stack");
    await limit("other-only", other);
    await expect(readValue(secrets, own)).rejects.toMatchObject(denied);
    await expect(readValue(secrets, other)).rejects.toMatchObject(denied);
    await iam.send(new DeleteRolePermissionsBoundaryCommand({ RoleName: PROFILE }));
    expect(await readValue(secrets, own)).toBe("key of this stack");
  });

  it("is only given to the host's metadata service", async () => {
    expect((await askForSession("guessed")).status).toBe(403);
    expect(statSync(join(state, "credentials.token")).mode & 0o777).toBe(0o600);
    expect(statSync(join(state, "emulator.json")).mode & 0o777).toBe(0o600);
  });

  it("writes principal and operation to the log, but no value", async () => {
    await readValue(secretsAs(await session()), own);
    const log = readFileSync(join(state, "emulator.log"), "utf8");
    expect(log).toMatch(/assumed-role\/server\/\S+ .*secretsmanager:GetSecretValue/);
    expect(log).not.toContain("key of this stack");
  });

  it("is available only through version 2 of the metadata service", async () => {
    const metadata = await startMetadataService();
    try {
      const token = await metadata.token();
      const get = async (path: string, value = token) =>
        (
          await fetch(`${metadata.url}/latest/${path}`, { headers: { "X-aws-ec2-metadata-token": value } })
        ).text();
      for (const headers of [{}, { "X-aws-ec2-metadata-token": "guessed" }] as Record<string, string>[]) {
        expect((await fetch(`${metadata.url}/latest/meta-data/instance-id`, { headers })).status).toBe(401);
      }
      for (const seconds of ["0", "21601", "soon", undefined]) {
        expect((await metadata.askForToken(seconds)).status).toBe(400);
      }
      expect(await get("meta-data/instance-id")).toBe("i-0123456789abcdef0");
      expect(await get("meta-data/placement/region")).toBe("us-east-1");
      expect(await get("meta-data/placement/availability-zone")).toMatch(/^us-east-1[a-z]$/);
      expect(await get("user-data")).toBe("#cloud-config\n");
      expect(JSON.parse(await get("dynamic/instance-identity/document"))).toMatchObject({
        region: "us-east-1",
        instanceId: "i-0123456789abcdef0",
      });
      expect(await get("meta-data/iam/security-credentials/")).toBe(PROFILE);
      const given = JSON.parse(await get(`meta-data/iam/security-credentials/${PROFILE}`));
      expect(given).toMatchObject({ Code: "Success", Type: "AWS-HMAC" });
      const secrets = secretsAs({
        accessKeyId: given.AccessKeyId,
        secretAccessKey: given.SecretAccessKey,
        sessionToken: given.Token,
      });
      expect(await readValue(secrets, own)).toBe("key of this stack");
    } finally {
      await metadata.stop();
    }
  });
});

describe("requests without a valid principal, or that are not emulated", () => {
  it("rejects a key ID that was never issued", async () => {
    const stranger = secretsAs({ accessKeyId: "AKIAIOSFODNN7EXAMPLE", secretAccessKey: "unknown" });
    await expect(readValue(stranger, "own")).rejects.toMatchObject({
      name: "UnrecognizedClientException",
      $metadata: { httpStatusCode: 403 },
    });
  });

  it("names an action that moto does not have, and one for which a role's policies cannot be evaluated", async () => {
    const missing = new GenerateServiceLastAccessedDetailsCommand({
      Arn: "arn:aws:iam::123456789012:role/x",
    });
    const iam = (credentials?: Credentials) => new IAMClient({ ...as(credentials), maxAttempts: 1 });
    await expect(iam().send(missing)).rejects.toMatchObject({
      message: expect.stringContaining("not emulated: iam:GenerateServiceLastAccessedDetails"),
      $metadata: { httpStatusCode: 501 },
    });
    expect((await iam().send(new ListRolesCommand({}))).Roles).not.toEqual([]);
    await expect(iam(await session()).send(new ListRolesCommand({}))).rejects.toMatchObject({
      message: expect.stringContaining("not emulated: iam:ListRoles"),
      $metadata: { httpStatusCode: 501 },
    });
  });

  it("returns the one public parameter", async () => {
    const ssm = new SSMClient(as());
    const { Parameter } = await ssm.send(new GetParameterCommand({ Name: AMI_PARAMETER }));
    expect(Parameter!.Value).toBe(AMI);
    await expect(ssm.send(new GetParameterCommand({ Name: "/another" }))).rejects.toMatchObject({
      name: "ParameterNotFound",
    });
  });

  it("sends only shell commands, and only to existing instances", async () => {
    const ssm = new SSMClient(as());
    const send = (DocumentName: string) =>
      ssm.send(
        new SendCommandCommand({ DocumentName, InstanceIds: ["i-0"], Parameters: { commands: ["true"] } }),
      );
    await expect(send("AWS-RunShellScript")).rejects.toMatchObject({ name: "InvalidInstanceId" });
    await expect(send("AWS-UpdateSSMAgent")).rejects.toMatchObject({ name: "InvalidDocument" });
    const invocation = new GetCommandInvocationCommand({
      CommandId: "00000000-0000-0000-0000-000000000000",
      InstanceId: "i-0",
    });
    await expect(ssm.send(invocation)).rejects.toMatchObject({ name: "InvocationDoesNotExist" });
  });
});

describe("the services that AWS's own provider uses for this stack", () => {
  /** A call of each, by boto3's names, which are those of the provider's endpoints. */
  const CALLS: Record<string, [operation: string, parameters?: Record<string, string>]> = {
    acm: ["list_certificates"],
    autoscaling: ["describe_auto_scaling_groups"],
    budgets: ["describe_budgets", { AccountId: "123456789012" }],
    cloudwatch: ["describe_alarms"],
    ec2: ["describe_vpcs"],
    elbv2: ["describe_load_balancers"],
    iam: ["list_roles"],
    route53: ["list_hosted_zones"],
    s3: ["list_buckets"],
    scheduler: ["list_schedules"],
    secretsmanager: ["list_secrets"],
    ssm: ["get_parameter", { Name: AMI_PARAMETER }],
    sts: ["get_caller_identity"],
  };

  it("are all there, for the administrator", async () => {
    const program = `
import boto3, json, sys
for service, (operation, *parameters) in json.loads(sys.argv[1]).items():
    client = boto3.client(service, endpoint_url=sys.argv[2], region_name="us-east-1")
    print(service, getattr(client, operation)(**(parameters or [{}])[0])["ResponseMetadata"]["HTTPStatusCode"])
`;
    const calls = Object.fromEntries(SERVICES.map((service) => [service, CALLS[service]]));
    const said = await run(await emulatorPython(), ["-c", program, JSON.stringify(calls), emulator.url], {
      env: {
        ...process.env,
        AWS_ACCESS_KEY_ID: ADMINISTRATOR.accessKeyId,
        AWS_SECRET_ACCESS_KEY: ADMINISTRATOR.secretAccessKey,
        AWS_MAX_ATTEMPTS: "1",
      },
    });
    expect(said.trim().split("\n")).toEqual(SERVICES.map((service) => `${service} 200`));
  });
});

function as(credentials: Credentials = ADMINISTRATOR) {
  return { endpoint: emulator.url, region: "us-east-1", credentials };
}

function secretsAs(credentials?: Credentials): SecretsManagerClient {
  return new SecretsManagerClient({ ...as(credentials), maxAttempts: 1 });
}

function s3As(credentials?: Credentials): S3Client {
  return new S3Client({ ...as(credentials), forcePathStyle: true, maxAttempts: 1 });
}

async function createSecret(name: string, value: string): Promise<string> {
  return (await secretsAs().send(new CreateSecretCommand({ Name: name, SecretString: value }))).ARN!;
}

async function readValue(secrets: SecretsManagerClient, id: string, label?: string): Promise<string> {
  const command = new GetSecretValueCommand({ SecretId: id, VersionStage: label });
  return (await secrets.send(command)).SecretString!;
}

/** Labels of each labelled version, by version ID. */
async function labels(id: string): Promise<Record<string, string[]>> {
  const { Versions } = await secretsAs().send(new ListSecretVersionIdsCommand({ SecretId: id }));
  return Object.fromEntries(Versions!.map(({ VersionId, VersionStages }) => [VersionId!, VersionStages!]));
}

function policy(...statements: object[]): string {
  return JSON.stringify({ Version: "2012-10-17", Statement: statements });
}

/** A role with these statements and the instance profile of the same name. */
async function createProfile(...statements: object[]): Promise<void> {
  const iam = new IAMClient(as());
  const trust = policy({
    Effect: "Allow",
    Principal: { Service: "ec2.amazonaws.com" },
    Action: "sts:AssumeRole",
  });
  await iam.send(new CreateRoleCommand({ RoleName: PROFILE, AssumeRolePolicyDocument: trust }));
  await iam.send(
    new PutRolePolicyCommand({
      RoleName: PROFILE,
      PolicyName: "inline",
      PolicyDocument: policy(...statements),
    }),
  );
  await iam.send(new CreateInstanceProfileCommand({ InstanceProfileName: PROFILE }));
  await iam.send(new AddRoleToInstanceProfileCommand({ InstanceProfileName: PROFILE, RoleName: PROFILE }));
}

function askForSession(token: string): Promise<Response> {
  return fetch(`${emulator.url}/_local/credentials`, {
    method: "POST",
    headers: { "X-Local-Token": token },
    body: JSON.stringify({ instanceProfile: PROFILE }),
  });
}

async function session(): Promise<Credentials> {
  const response = await askForSession(readFileSync(join(state, "credentials.token"), "utf8"));
  const given = (await response.json()) as Record<"AccessKeyId" | "SecretAccessKey" | "Token", string>;
  return {
    accessKeyId: given.AccessKeyId,
    secretAccessKey: given.SecretAccessKey,
    sessionToken: given.Token,
  };
}

async function startMetadataService() {
  const address = `127.0.0.1:${await freePort()}`;
  const url = `http://${address}`;
  const userData = join(state, "user-data");
  writeFileSync(userData, "#cloud-config\n");
  const values = {
    "instance-id": "i-0123456789abcdef0",
    region: "us-east-1",
    emulator: emulator.url,
    "token-file": join(state, "credentials.token"),
    "user-data-file": userData,
    bind: address,
    "instance-profile": PROFILE,
  };
  const args = Object.entries(values).flatMap(([name, value]) => [`--${name}`, value]);
  const script = join(__dirname, "../../local/aws/imds.py");
  const child: ChildProcess = spawn("python3", [script, ...args], { stdio: "ignore" });
  const askForToken = (seconds?: string) =>
    fetch(`${url}/latest/api/token`, {
      method: "PUT",
      headers: seconds === undefined ? {} : { "X-aws-ec2-metadata-token-ttl-seconds": seconds },
    });
  const answers = () =>
    askForToken("60").then(
      ({ ok }) => ok,
      () => false,
    );
  await waitUntil(answers, 10_000, "the metadata service");
  return {
    url,
    askForToken,
    token: async () => (await askForToken("60")).text(),
    stop: () => endProcess(child.pid!),
  };
}
