import { execFileSync, spawnSync } from "node:child_process";
import { cpSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import {
  CreateSecretCommand,
  GetSecretValueCommand,
  SecretsManagerClient,
} from "@aws-sdk/client-secrets-manager";
import type { OutputMap } from "@pulumi/pulumi/automation";
import { Agent, fetch } from "undici";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { renderBundle } from "../../components/machine/bundle";
import { ADMINISTRATOR } from "../../local/aws/administrator";
import { type Environment, preparation, readEnvironment, removeEnvironment } from "../../local/environment";
import { ROOT } from "../../local/paths";
import { unsupported } from "../../local/preflight";
import { run } from "../../local/process";
import { inMachine, leaderPid, listInstances, rebootInstance } from "../../local/sandbox";
import { bringUp, runProgram } from "../../local/up";
import { openStack } from "../../local/workspace";

/** An environment of its own, beside the one that somebody may be working with. */
const NAME = "machine-test";

let environment: Environment;
let outputs: OutputMap;
let instanceId: string;

const output = (name: string) => outputs[name]!.value as string;

/** The environment's own Secrets Manager, as its administrator. */
const secrets = () =>
  new SecretsManagerClient({
    endpoint: environment.env.AWS_ENDPOINT_URL,
    region: "us-east-1",
    credentials: ADMINISTRATOR,
  });

async function readKey(stage = "AWSCURRENT"): Promise<string> {
  const { SecretString } = await secrets().send(
    new GetSecretValueCommand({ SecretId: output("secretArn"), VersionStage: stage }),
  );
  return SecretString!;
}

/** Status of an embedding request with a key, over TLS that only the stack's CA vouches for. */
async function embed(key: string, input: unknown = "Hello"): Promise<{ status: number; body: Embeddings }> {
  const response = await fetch(`${output("endpoint")}/embeddings`, {
    method: "POST",
    dispatcher: new Agent({ connect: { ca: output("caCertificate") } }),
    headers: { Authorization: `Bearer ${key}`, "Content-Type": "application/json" },
    body: JSON.stringify({ model: output("model"), input }),
  });
  return { status: response.status, body: (await response.json()) as Embeddings };
}

interface Embeddings {
  data: { embedding: number[] }[];
}

interface Report {
  rows: { name: string; ok: boolean }[];
}

/** `npm run verify --json`, as a person runs it. */
function verify(): { status: number; report: string } {
  try {
    const report = execFileSync("npm", ["run", "--silent", "verify", "--", "--stack", NAME, "--json"], {
      cwd: ROOT,
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    });
    return { status: 0, report };
  } catch (error) {
    const { status, stdout } = error as { status: number; stdout: string };
    return { status, report: stdout };
  }
}

/** Both streams of an npm command and its exit status. */
function npm(...args: string[]): { status: number; text: string } {
  const { status, stdout, stderr } = spawnSync("npm", args, { cwd: ROOT, encoding: "utf8" });
  return { status: status ?? -1, text: stdout + stderr };
}

/** Main process IDs of the units that serve. */
async function servingPids(): Promise<string> {
  return inMachine(instanceId, "systemctl show --property MainPID nginx qwen3-keys 'qwen3-embed@*'");
}

describe.skipIf(unsupported() !== undefined)("a booted machine", () => {
  beforeAll(async () => {
    const left = readEnvironment(NAME);
    if (left) {
      await removeEnvironment(left);
    }
    for (const step of preparation(NAME)) {
      console.log(`${step.title}: ${await step.run(() => undefined)}`);
    }
    environment = readEnvironment(NAME)!;
    outputs = await bringUp(environment);
    instanceId = output("instanceId");
  });

  afterAll(async () => {
    const left = readEnvironment(NAME);
    if (left) {
      await removeEnvironment(left);
    }
  });

  it("passes every row of verify", () => {
    const { status, report } = verify();
    expect(report).toContain('"rows"');
    expect((JSON.parse(report) as Report).rows.filter(({ ok }) => ok === false)).toEqual([]);
    expect(status).toBe(0);
  });

  it("answers 2560 numbers from SGLang to curl with the printed CA and key, and 401 without the key", () => {
    const env = Object.fromEntries(
      execFileSync("npm", ["run", "--silent", "env", "--", "--stack", NAME], { cwd: ROOT, encoding: "utf8" })
        .trim()
        .split("\n")
        .map((line) => line.split(/=(.*)/s).slice(0, 2) as [string, string]),
    );
    const curl = (...more: string[]) =>
      execFileSync(
        "curl",
        [
          ...["--silent", "--cacert", env.EMBEDDING_CA_FILE!, "--write-out", "\n%{http_code}"],
          ...["--json", JSON.stringify({ model: env.EMBEDDING_MODEL, input: "Hello" }), ...more],
          `${env.EMBEDDING_API_BASE}/embeddings`,
        ],
        { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] },
      );
    const [body, status] = curl("--header", `Authorization: Bearer ${env.EMBEDDING_API_KEY}`).split(
      /\n(?=\d+$)/,
    );
    expect(status).toBe("200");
    expect((JSON.parse(body!) as Embeddings).data[0]!.embedding).toHaveLength(2560);
    expect(curl()).toMatch(/\n401$/);
  });

  it("gave cloud-init a document that its own schema and its run find nothing wrong with", async () => {
    const checked = await inMachine(
      instanceId,
      "cloud-init schema --config-file /var/lib/cloud/seed/nocloud/user-data 2>&1; cloud-init status --long",
    );
    expect(checked).toMatch(/Valid cloud-config/i);
    expect(checked).toMatch(/status: done/);
    expect(checked).not.toMatch(/error|warn/i);
  });

  it("has a configuration that nginx accepts and units that systemd finds nothing wrong with", async () => {
    const units = "qwen3-bootstrap qwen3-keys qwen3-model qwen3-embed@0 nginx";
    const checked = await inMachine(
      instanceId,
      `nginx -t 2>&1; systemd-analyze verify --man=no ${units.replace(/\S+/g, "$&.service")} 2>&1; systemctl --failed --no-legend`,
    );
    expect(checked).toMatch(/test is successful/);
    expect(checked.split("\n").filter((line) => line !== "" && !line.startsWith("nginx:"))).toEqual([]);
  });

  it("checks the key in the worker too", async () => {
    const request = "curl --silent --output /dev/null --write-out '%{http_code}' http://127.0.0.1:30000";
    expect(await inMachine(instanceId, `${request}/v1/models`)).toBe("401");
    expect(await inMachine(instanceId, `${request}/server_info`)).toBe("404");
  });

  it("keeps its settings readable for root alone, without a key", async () => {
    expect(await inMachine(instanceId, "stat --format=%a:%U /etc/qwen3/embed.env")).toBe("600:root\n");
    expect(await inMachine(instanceId, "cat /etc/qwen3/embed.env")).not.toContain(await readKey());
  });

  it("runs the workers as aiuser", async () => {
    expect(await inMachine(instanceId, "ps -o user= -p $(systemctl show -P MainPID qwen3-embed@0)")).toBe(
      "aiuser\n",
    );
  });

  it("has user data without a secret", async () => {
    const userData = readFileSync(join(environment.state, "machines", instanceId, "user-data"), "utf8");
    expect(userData).not.toContain(await readKey());
    expect(userData).not.toMatch(/PRIVATE KEY|qwen3_[0-9A-Za-z]{48}/);
    expect(userData).toContain((await renderBundle(bundleOf())).sha256);
  });

  it("reads its own secrets with its role and no others", async () => {
    const { ARN } = await secrets().send(
      new CreateSecretCommand({ Name: "somebody-else", SecretString: "theirs" }),
    );
    const read = (arn: string) =>
      inMachine(
        instanceId,
        `. /etc/qwen3/embed.env && /usr/bin/python3 -c "
import boto3
client = boto3.client('secretsmanager', region_name='$AWS_REGION', endpoint_url='$AWS_ENDPOINT_URL')
client.get_secret_value(SecretId='${arn}')
print('read')"`,
      ).catch((error: Error) => error.message);
    expect(await read(output("secretArn"))).toBe("read\n");
    expect(await read(ARN!)).toMatch(/AccessDenied/);
  });

  it("passes its own programs' tests: the key agent's and the worker's", async () => {
    const checkout = `/proc/${leaderPid(instanceId)}/root/root/checkout`;
    for (const part of ["components/machine/files", "local/makeTinyModel.py", "test/machine/python"]) {
      cpSync(join(ROOT, part), join(checkout, part), { recursive: true });
    }
    const inCheckout = (python: string, tests: string) =>
      inMachine(
        instanceId,
        `cd /root/checkout/test/machine/python &&
          export PYTHONPATH=/root/checkout/components/machine/files:/root/checkout/components/machine/files/cpu &&
          export PYTHONDONTWRITEBYTECODE=1 && ${python} -m unittest ${tests} 2>&1`,
        8 * 60_000,
      );
    expect(await inCheckout("/usr/bin/python3", "test_keys test_numa test_fleet")).toMatch(/^OK$/m);
    expect(await inCheckout("/opt/qwen3/venv/bin/python -W ignore", "test_worker test_worker_parts")).toMatch(
      /^OK$/m,
    );
  });

  it("rotates with one command: accepted within 15 seconds, the old key honoured, nothing restarted, no key printed", async () => {
    const before = { key: await readKey(), pids: await servingPids() };
    const printed = npm("run", "--silent", "rotate", "--", "--stack", NAME, "--yes");
    const rotated = await readKey();
    expect(printed.status).toBe(0);
    const [, seconds] =
      /The new key was accepted (\d+) s after the update. The old one works until 20/.exec(printed.text) ??
      [];
    expect(Number(seconds)).toBeLessThan(15);
    expect(printed.text).not.toContain(rotated);
    expect(printed.text).not.toContain(before.key);
    expect(rotated).not.toBe(before.key);
    expect((await embed(rotated)).status).toBe(200);
    expect((await embed(before.key)).status).toBe(200);
    expect(await servingPids()).toBe(before.pids);
  });

  it("refuses to rotate while other changes are pending, and shows them", async () => {
    const before = await readKey();
    const stack = await openStack(environment, runProgram);
    await stack.setConfig("qwen3-embedding-stack:keyGraceSeconds", { value: "60" });
    const printed = npm("run", "--silent", "rotate", "--", "--stack", NAME, "--yes");
    await stack.removeConfig("qwen3-embedding-stack:keyGraceSeconds");
    expect(printed.status).toBe(1);
    expect(printed.text).toMatch(/has pending changes besides the key \(1 to update\)[\s\S]*BucketObjectv2/);
    expect(await readKey()).toBe(before);
  });

  it("has left no key on the host: in no argument, in no file of the environment", async () => {
    const keys = [await readKey(), await readKey("AWSPREVIOUS")].map((key) => key.slice("qwen3_".length));
    const files = readdirSync(environment.state, { recursive: true, withFileTypes: true })
      // The machine's own layer was searched by the machine; its root is a mount of another namespace.
      .filter((entry) => entry.isFile() && !entry.parentPath.includes("/machines/"))
      .map((entry) => join(entry.parentPath, entry.name));
    expect(files.length).toBeGreaterThan(10);
    const holding = files.filter((file) => keys.some((key) => readFileSync(file, "latin1").includes(key)));
    expect(holding).toEqual([]);
    const processes = await run("ps", ["-eo", "args"]);
    expect(keys.filter((key) => processes.includes(key))).toEqual([]);
  });

  it("starts a worker again that was killed", async () => {
    await inMachine(instanceId, "kill -9 $(systemctl show -P MainPID qwen3-embed@0)");
    await waitForAnswer(180_000);
  });

  it("comes back by itself after a reboot, and verifies", async () => {
    const before = leaderPid(instanceId);
    await rebootInstance(instanceId);
    expect(leaderPid(instanceId)).not.toBe(before);
    await waitForAnswer(300_000);
    const { status, report } = verify();
    expect((JSON.parse(report) as Report).rows.filter(({ ok }) => ok === false)).toEqual([]);
    expect(status).toBe(0);
  });

  it("leaves nothing running, mounted or connected once it is destroyed and stopped", async () => {
    const { bridge } = environment.network;
    const [{ namespace } = { namespace: "none" }] = listInstances();
    execFileSync("npm", ["run", "--silent", "stop", NAME], { cwd: ROOT, stdio: "ignore" });
    expect(readEnvironment(NAME)).toBeUndefined();
    expect(await run("ip", ["-brief", "link"])).not.toContain(bridge);
    expect(await run("ip", ["netns"])).not.toContain(namespace);
    expect(readFileSync("/proc/mounts", "utf8")).not.toContain(environment.state);
    expect(await run("ps", ["-eo", "args"])).not.toContain(environment.state);
  });
});

/** What the local environment's bundle is a function of, besides the repository's files. */
function bundleOf() {
  return {
    accelerator: "cpu",
    workers: 1,
    maxBodyBytes: 8388608,
    modelSource: "s3://qwen3-local-models/tiny-qwen3",
  } as const;
}

/** Waits until the current key is answered again; refusals and failures on the way are expected. */
async function waitForAnswer(timeoutMs: number): Promise<void> {
  const key = await readKey();
  const end = Date.now() + timeoutMs;
  while (
    !(await embed(key).then(
      ({ status }) => status === 200,
      () => false,
    ))
  ) {
    expect(Date.now()).toBeLessThan(end);
    await sleep(1000);
  }
}
