import { execFileSync } from "node:child_process";
import { cpSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { CreateSecretCommand } from "@aws-sdk/client-secrets-manager";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { renderBundle } from "../../components/bundle/bundle";
import { ACCOUNTS, FIRST_WORKER_PORT, PATHS } from "../../components/bundle/contract";
import { leaderPid, listInstances } from "../../local/container";
import { readEnvironment } from "../../local/environment";
import { unsupported } from "../../local/preflight";
import { run } from "../../local/process";
import { ROOT } from "../../scripts/lib/paths";
import { clients } from "./application/clients";
import { example } from "./application/example";
import { type ApplicationFolder, applicationFolder } from "./application/folder";
import { notebook } from "./application/notebook";
import { type BootedMachine, closeContainer, openContainer } from "./container";
import { LONG } from "./effort";
import { Load } from "./load";
import { changes } from "./suites/changes";
import { faults } from "./suites/faults";
import { fuzz } from "./suites/fuzz";
import { hardening } from "./suites/hardening";
import { leaks } from "./suites/leaks";
import { logs } from "./suites/logs";
import { overload } from "./suites/overload";
import { rotation } from "./suites/rotation";
import { soak } from "./suites/soak";
import { tune } from "./suites/tune";

let machine: BootedMachine;

interface Embeddings {
  data: { embedding: number[] }[];
}

interface Report {
  rows: { name: string; ok: boolean }[];
}

/** `npm run verify --json`, as a person runs it. */
async function verify(): Promise<{ status: number; failed: unknown[] }> {
  const { status, stdout } = await machine.npm(
    "run",
    "--silent",
    "verify",
    "--",
    "--stack",
    machine.name,
    "--json",
  );
  const report = JSON.parse(stdout) as Report;
  expect(report.rows.length).toBeGreaterThan(10);
  return { status, failed: report.rows.filter(({ ok }) => ok === false) };
}

describe.skipIf(unsupported() !== undefined)("a booted instance", () => {
  beforeAll(async () => {
    machine = await openContainer();
  });

  afterEach(() => Load.endAll());

  afterAll(closeContainer);

  it("passes every row of verify", async () => {
    expect(await verify()).toEqual({ status: 0, failed: [] });
  });

  it("returns 2560 numbers from SGLang to curl with the printed CA and key, and 401 without the key", () => {
    const env = Object.fromEntries(
      execFileSync("npm", ["run", "--silent", "env", "--", "--stack", machine.name], {
        cwd: ROOT,
        encoding: "utf8",
      })
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

  it("gave cloud-init a document without errors in its schema and its run", async () => {
    const checked = await machine.run(
      "cloud-init schema --config-file /var/lib/cloud/seed/nocloud/user-data 2>&1; cloud-init status --long",
    );
    expect(checked).toMatch(/Valid cloud-config/i);
    expect(checked).toMatch(/status: done/);
    expect(checked).not.toMatch(/error|warn/i);
  });

  it("has a configuration that nginx accepts and units without errors in systemd", async () => {
    const units = "qwen3-bootstrap qwen3-keys qwen3-model qwen3-embed@0 nginx";
    const checked = await machine.run(
      `nginx -t 2>&1; systemd-analyze verify --man=no ${units.replace(/\S+/g, "$&.service")} 2>&1; systemctl --failed --no-legend`,
    );
    expect(checked).toMatch(/test is successful/);
    expect(checked.split("\n").filter((line) => line !== "" && !line.startsWith("nginx:"))).toEqual([]);
  });

  it("also checks the key in the worker", async () => {
    const request = `curl --silent --output /dev/null --write-out '%{http_code}' http://127.0.0.1:${FIRST_WORKER_PORT}`;
    expect(await machine.run(`${request}/v1/models`)).toBe("401");
    expect(await machine.run(`${request}/server_info`)).toBe("404");
  });

  it("has settings that only root can read, without a key", async () => {
    expect(await machine.run(`stat --format=%a:%U ${PATHS.environment}`)).toBe("600:root\n");
    expect(await machine.run(`cat ${PATHS.environment}`)).not.toContain(await machine.readKey());
  });

  it("runs the workers as a separate user", async () => {
    expect(await machine.run("ps -o user= -p $(systemctl show -P MainPID qwen3-embed@0)")).toBe(
      `${ACCOUNTS.workerUser}\n`,
    );
  });

  it("has user data without a secret", async () => {
    const userData = readFileSync(
      join(machine.environment.state, "machines", machine.instanceId, "user-data"),
      "utf8",
    );
    expect(userData).not.toContain(await machine.readKey());
    expect(userData).not.toMatch(/PRIVATE KEY|qwen3_[0-9A-Za-z]{48}/);
    expect(userData).toContain((await renderBundle(bundleOf())).sha256);
  });

  it("can read only its own secrets with its role", async () => {
    const { ARN } = await machine
      .secrets()
      .send(new CreateSecretCommand({ Name: "somebody-else", SecretString: "theirs" }));
    const read = (arn: string) =>
      machine
        .run(
          `. ${PATHS.environment} && /usr/bin/python3 -c "
import boto3
client = boto3.client('secretsmanager', region_name='$AWS_REGION', endpoint_url='$AWS_ENDPOINT_URL')
client.get_secret_value(SecretId='${arn}')
print('read')"`,
        )
        .catch((error: Error) => error.message);
    expect(await read(machine.output("secretArn"))).toBe("read\n");
    expect(await read(ARN!)).toMatch(/AccessDenied/);
  });

  describe("the application's side", () => {
    let application: ApplicationFolder;
    let workerTests: Promise<string>;
    beforeAll(async () => {
      // They start workers of their own, and take minutes, in which this side mostly waits.
      workerTests = testWorker();
      workerTests.catch(() => undefined);
      application = await applicationFolder(machine.name);
    });
    describe("clients", () => clients(() => application));
    describe("the notebook", () => notebook(() => application));
    describe("the example application", () => example(() => application));

    it("meanwhile, the worker's tests pass with SGLang", async () => {
      expect(await workerTests).toMatch(/^OK$/m);
    });
  });
  describe("hardening", () => hardening(() => machine));
  describe("logs", () => logs(() => machine));
  describe("rotation", () => rotation(() => machine));
  describe("fuzz", () => fuzz(() => machine));
  describe("overload", () => overload(() => machine));
  describe("tune", () => tune(() => machine));
  describe.runIf(LONG)("soak", () => soak(() => machine));
  describe("changes", () => changes(() => machine));
  describe("faults", () => faults(() => machine));

  describe("leaks", () => leaks(() => machine));

  it("can be created again under the same names after a destroy, and refuses the old keys", async () => {
    const before = { key: await machine.readKey(), secretArn: machine.output("secretArn") };
    const stack = await machine.stack();
    await stack.destroy();
    await machine.up();
    expect(machine.output("secretArn")).not.toBe(before.secretArn);
    expect(await machine.status(await machine.readKey())).toBe(200);
    expect(await machine.status(before.key)).toBe(401);
  });

  it("leaves nothing running, mounted or connected after it is destroyed and stopped", async () => {
    const { bridge } = machine.environment.network;
    const [{ namespace } = { namespace: "none" }] = listInstances();
    execFileSync("npm", ["run", "--silent", "stop", machine.name], { cwd: ROOT, stdio: "ignore" });
    expect(readEnvironment(machine.name)).toBeUndefined();
    expect(await run("ip", ["-brief", "link"])).not.toContain(bridge);
    expect(await run("ip", ["netns"])).not.toContain(namespace);
    expect(readFileSync("/proc/mounts", "utf8")).not.toContain(machine.environment.state);
    expect(await run("ps", ["-eo", "args"])).not.toContain(machine.environment.state);
  });
});

/** Runs test/machine/python on the instance, with the workers' Python. @returns what the tests print */
async function testWorker(): Promise<string> {
  const checkout = `/proc/${leaderPid(machine.instanceId)}/root/root/checkout`;
  for (const part of ["machine", "local/makeRandomModel.py", "test/machine/python"]) {
    cpSync(join(ROOT, part), join(checkout, part), { recursive: true });
  }
  return await machine.run(
    `cd /root/checkout && export PYTHONDONTWRITEBYTECODE=1 &&
      export PYTHONPATH=machine:machine/cpu:machine/tests &&
      ${PATHS.venv}/bin/python -W ignore -m unittest discover -s test/machine/python 2>&1`,
    8 * 60_000,
  );
}

/** What determines the local environment's bundle, in addition to the repository's files. */
function bundleOf() {
  return {
    accelerator: "cpu",
    workers: 2,
    maxBodyBytes: 8388608,
    modelSource: "s3://qwen3-local-models/tiny-qwen3",
  } as const;
}
