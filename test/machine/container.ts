import { spawn } from "node:child_process";
import { once } from "node:events";
import { text as readText } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";
import {
  GetSecretValueCommand,
  ListSecretVersionIdsCommand,
  PutSecretValueCommand,
  SecretsManagerClient,
} from "@aws-sdk/client-secrets-manager";
import type { OutputMap, Stack } from "@pulumi/pulumi/automation";
import { ADMINISTRATOR } from "../../local/aws/administrator";
import { type InstanceRecord, inMachine, listInstances } from "../../local/container";
import {
  type Environment,
  isUsable,
  preparation,
  readEnvironment,
  removeEnvironment,
} from "../../local/environment";
import { bringUp } from "../../local/up";
import { openStack } from "../../local/workspace";
import { ROOT } from "../../scripts/lib/paths";
import { runProgram } from "../../scripts/lib/program";
import { EndpointClient, type Reply } from "../../scripts/verify/client";

/** A separate environment, so that one that somebody may be working with is not affected. */
const NAME = "machine-test";

/** While you work on these tests: uses an existing instance, and keeps it. */
const KEEP = process.env.QWEN3_TEST_KEEP === "1";

/** The booted instance, with two workers, that all suites of this layer share, one after another. */
export class BootedMachine {
  readonly name = NAME;
  /** Every key that was used, for the search at the end. */
  readonly keys = new Set<string>();
  /** The output of every command, for the same search. */
  readonly printed: string[] = [];
  readonly #environment: Environment;
  #outputs: OutputMap;

  constructor(environment: Environment, outputs: OutputMap) {
    this.#environment = environment;
    this.#outputs = outputs;
  }

  get environment(): Environment {
    return this.#environment;
  }

  output(name: string): string {
    return this.#outputs[name]!.value as string;
  }

  get instanceId(): string {
    return this.output("instanceId");
  }

  /** The record of the instance. */
  instance(): InstanceRecord {
    return listInstances().find(({ instanceId }) => instanceId === this.instanceId)!;
  }

  stack(): Promise<Stack> {
    return openStack(this.#environment, runProgram);
  }

  /** Runs the program again, and replaces one resource if it is named. Its output is kept for the search. */
  async up(replace?: string): Promise<void> {
    const stack = await this.stack();
    const { outputs, stdout, stderr } = await stack.up({
      replace: replace ? [replace] : undefined,
      suppressProgress: true,
      color: "never",
    });
    this.printed.push(stdout, stderr);
    this.#outputs = outputs;
  }

  /** Runs a command as root on the instance and returns its standard output. */
  run(command: string, timeoutMs?: number): Promise<string> {
    return inMachine(this.instanceId, command, timeoutMs);
  }

  /** Runs an npm command as a person does. Traffic of this process continues. */
  async npm(...args: string[]): Promise<{ status: number; stdout: string; text: string }> {
    const child = spawn("npm", args, { cwd: ROOT, stdio: ["ignore", "pipe", "pipe"] });
    const [stdout, stderr, [status]] = await Promise.all([
      readText(child.stdout),
      readText(child.stderr),
      once(child, "close"),
    ]);
    this.printed.push(stdout, stderr);
    return { status: (status as number | null) ?? -1, stdout, text: stdout + stderr };
  }

  /** The environment's own Secrets Manager, as its administrator. */
  secrets(): SecretsManagerClient {
    return new SecretsManagerClient({
      endpoint: this.#environment.env.AWS_ENDPOINT_URL,
      region: "us-east-1",
      credentials: ADMINISTRATOR,
    });
  }

  async readKey(stage = "AWSCURRENT", client?: string): Promise<string> {
    const arns = this.#outputs.secretArns!.value as Record<string, string>;
    const secretArn = client === undefined ? this.output("secretArn") : arns[client];
    const { SecretString } = await this.secrets().send(
      new GetSecretValueCommand({ SecretId: secretArn, VersionStage: stage }),
    );
    this.keys.add(SecretString!);
    return SecretString!;
  }

  /** Stores a key in the secret by hand. */
  async putKey(key: string): Promise<void> {
    this.keys.add(key);
    await this.secrets().send(
      new PutSecretValueCommand({ SecretId: this.output("secretArn"), SecretString: key }),
    );
  }

  /** ID and creation, in milliseconds since the epoch, of the version with a label. */
  async version(stage = "AWSCURRENT"): Promise<{ id: string; created: number } | undefined> {
    const { Versions } = await this.secrets().send(
      new ListSecretVersionIdsCommand({ SecretId: this.output("secretArn") }),
    );
    const found = Versions?.find(({ VersionStages }) => VersionStages?.includes(stage));
    return found && { id: found.VersionId!, created: found.CreatedDate!.getTime() };
  }

  /** A client of the endpoint over TLS with only the stack's CA, with its own connections. */
  client(key = "none"): EndpointClient {
    return new EndpointClient(this.output("endpoint"), this.output("caCertificate"), key);
  }

  async embed(key: string, input: unknown = "Hello"): Promise<Reply> {
    const client = this.client(key);
    try {
      const body = { model: this.output("model"), input };
      return await client.send({ method: "POST", path: "/v1/embeddings", authorization: "key", body });
    } finally {
      await client.close();
    }
  }

  /** Status of the cheapest request that requires a key; 0 without a response. */
  async status(key: string): Promise<number> {
    const client = this.client(key);
    try {
      return (await client.send({ method: "GET", path: "/v1/models", authorization: "key" })).status;
    } catch {
      return 0;
    } finally {
      await client.close();
    }
  }

  /** Seconds from `from`, in milliseconds since the epoch, until a key first got a status. */
  async untilStatus(
    key: string,
    status: number,
    { from = Date.now(), timeoutMs = 60_000 } = {},
  ): Promise<number> {
    const end = Date.now() + timeoutMs;
    while ((await this.status(key)) !== status) {
      if (Date.now() > end) {
        throw new Error(`no ${status} within ${timeoutMs} ms; last ${await this.status(key)}`);
      }
      await sleep(100);
    }
    return (Date.now() - from) / 1000;
  }

  /** Waits until every worker is ready and the current key is accepted. Failures before that are expected. */
  async untilWell(timeoutMs = 300_000): Promise<void> {
    const end = Date.now() + timeoutMs;
    for (;;) {
      const states = await this.run("systemctl is-active nginx qwen3-keys 'qwen3-embed@*' || true").catch(
        () => "",
      );
      const key = await this.readKey();
      const answered = await this.embed(key).then(
        ({ status }) => status === 200,
        () => false,
      );
      if (answered && /^(active\n){4}$/.test(states)) {
        return;
      }
      if (Date.now() > end) {
        throw new Error(`the instance does not serve after ${timeoutMs / 1000} s: ${states}`);
      }
      await sleep(500);
    }
  }

  /** Whether the operating system of an instance runs. */
  isRunning(instanceId: string): Promise<boolean> {
    return inMachine(instanceId, "true", 5000).then(
      () => true,
      () => false,
    );
  }

  /** Main process IDs of the units that serve. */
  servingPids(): Promise<string> {
    return this.run("systemctl show --property Id,MainPID nginx qwen3-keys 'qwen3-embed@*'");
  }
}

/** Starts the instance, or uses the one that was kept. */
export async function openContainer(): Promise<BootedMachine> {
  const left = readEnvironment(NAME);
  if (left && KEEP && isUsable(left)) {
    // A changed instance is replaced.
    return new BootedMachine(left, await bringUp(left));
  }
  if (left) {
    await removeEnvironment(left);
  }
  for (const step of preparation(NAME)) {
    console.log(`${step.title}: ${await step.run(() => undefined)}`);
  }
  const environment = readEnvironment(NAME)!;
  const stack = await openStack(environment, runProgram);
  await stack.setConfig("qwen3-embedding-stack:cpuWorkers", { value: "2" });
  await stack.setConfig("qwen3-embedding-stack:clients[0]", { value: "default" }, true);
  await stack.setConfig("qwen3-embedding-stack:clients[1]", { value: "search" }, true);
  return new BootedMachine(environment, await bringUp(environment));
}

export async function closeContainer(): Promise<void> {
  const left = readEnvironment(NAME);
  if (left && !KEEP) {
    await removeEnvironment(left);
  }
}
