import { spawn } from "node:child_process";
import { accessSync, constants, existsSync, readdirSync, readFileSync } from "node:fs";
import { delimiter, join, resolve } from "node:path";
import { stateRoot } from "../../local/paths";
import type { AwsAccess } from "./aws";

/** Pulumi puts it in front of every setting of this project. */
const PROJECT = "qwen3-embedding-stack";
const ROOT = resolve(__dirname, "../..");
const NPM_BINARIES = join(ROOT, "node_modules", ".bin");
/** A name, or `organization/project/name`; without a part that could leave the state directory. */
const STACK_NAME = /^[A-Za-z0-9_-][A-Za-z0-9._-]*(\/[A-Za-z0-9_-][A-Za-z0-9._-]*){0,2}$/;

/** What the stack exports, as index.ts names it. */
export interface StackOutputs {
  /** Base URL for OpenAI's clients, `https://HOST/v1`. */
  endpoint: string;
  /** PEM of the CA that signs the endpoint's certificate; empty where it is one that everybody trusts. */
  caCertificate: string;
  model: string;
  /** Length of an embedding. */
  dimensions: number;
  region: string;
  /** Of a single machine. */
  instanceId?: string;
  /** Of a fleet. */
  autoScalingGroup?: string;
  /** By client. */
  secretArns: Record<string, string>;
  /** By client. */
  apiKeyUrns: Record<string, string>;
  /** The first client's. */
  secretArn: string;
  /** The first client's. */
  apiKeyUrn: string;
}

export interface Stack {
  name: string;
  outputs: StackOutputs;
  /** A plain setting of this project, or of another namespace when the name holds a colon. */
  setting(name: string): string | undefined;
  /** The environment that reaches this stack's state and its AWS account. */
  env: NodeJS.ProcessEnv;
}

/** What `npm start` leaves for the other commands. */
interface LocalEnvironment {
  workDir: string;
  env: Record<string, string>;
}

interface Finished {
  code: number | null;
  stdout: string;
  stderr: string;
}

/**
 * Where this project keeps what belongs to a stack on the user's machine: `ca.pem`, and `environment.json` for a
 * local environment.
 */
export function stateDirectory(stack: string, env: NodeJS.ProcessEnv = process.env): string {
  return join(stateRoot(env), ...stack.split("/"));
}

/**
 * Reads a stack's outputs and settings through the Pulumi CLI. A local environment of that name brings its own
 * working directory and variables; any other stack is read with the process's own.
 *
 * @throws Error that says what to do: no such stack, no outputs yet, no Pulumi.
 */
export async function openStack(name: string, processEnv: NodeJS.ProcessEnv = process.env): Promise<Stack> {
  if (!STACK_NAME.test(name)) {
    throw new Error(
      `--stack is ${JSON.stringify(name)}: a stack's name has letters, digits, ., _ and - only`,
    );
  }
  const local = localEnvironment(name, processEnv);
  const env = { ...processEnv, ...local?.env };
  const pulumi = (...args: string[]) =>
    runPulumi([...args, "--non-interactive"], local?.workDir ?? ROOT, env);

  const output = await pulumi("stack", "output", "--json", "--stack", name);
  if (output.code !== 0) {
    throw await cannotOpen(name, output, processEnv, pulumi);
  }
  const outputs = parseOutputs(name, output.stdout);
  const config = await pulumi("config", "--json", "--stack", name);
  if (config.code !== 0) {
    throw new Error(`the settings of stack ${name} can't be read: ${said(config)}`);
  }
  const settings = JSON.parse(config.stdout) as Record<string, { value?: string }>;
  return {
    name,
    outputs,
    env,
    setting: (key) => settings[key.includes(":") ? key : `${PROJECT}:${key}`]?.value,
  };
}

/** The ARN of a client's secret, the first client's without a name. */
export function clientSecretArn(stack: Stack, client: string | undefined): string {
  return client === undefined ? stack.outputs.secretArn : ofClient(stack, stack.outputs.secretArns, client);
}

/** What to replace to rotate a client's key, the first client's without a name. */
export function clientApiKeyUrn(stack: Stack, client: string | undefined): string {
  return client === undefined ? stack.outputs.apiKeyUrn : ofClient(stack, stack.outputs.apiKeyUrns, client);
}

function ofClient(stack: Stack, values: Record<string, string>, client: string): string {
  const value = Object.hasOwn(values, client) ? values[client] : undefined;
  if (value === undefined) {
    throw new Error(
      `--client is ${JSON.stringify(client)}: stack ${stack.name} has ${Object.keys(values).join(", ")} (setting clients)`,
    );
  }
  return value;
}

/** How to reach the account that the stack is in. */
export function awsAccess(stack: Stack): AwsAccess {
  return {
    region: stack.outputs.region,
    env: stack.env,
    endpointUrl: stack.setting("awsEndpointUrl"),
    profile: stack.setting("aws:profile"),
  };
}

function localEnvironment(name: string, env: NodeJS.ProcessEnv): LocalEnvironment | undefined {
  const file = join(stateDirectory(name, env), "environment.json");
  return existsSync(file) ? (JSON.parse(readFileSync(file, "utf8")) as LocalEnvironment) : undefined;
}

function localNames(env: NodeJS.ProcessEnv): string[] {
  const root = stateRoot(env);
  const names = existsSync(root) ? readdirSync(root) : [];
  return names.filter((name) => existsSync(join(root, name, "environment.json")));
}

async function cannotOpen(
  name: string,
  failed: Finished,
  env: NodeJS.ProcessEnv,
  pulumi: (...args: string[]) => Promise<Finished>,
): Promise<Error> {
  if (!/no stack named/.test(failed.stderr)) {
    return new Error(`stack ${name} can't be read: ${said(failed)}`);
  }
  const list = await pulumi("stack", "ls", "--json");
  const deployed = list.code === 0 ? (JSON.parse(list.stdout) as { name: string }[]).map((s) => s.name) : [];
  const names = [...new Set([...deployed, ...localNames(env)])].filter((other) => other !== name).sort();
  const next =
    names.length > 0
      ? `the stacks are ${names.join(", ")}`
      : `pulumi stack init ${name} makes one, and npm start a local one`;
  return new Error(`there is no stack ${name}; ${next}`);
}

function parseOutputs(name: string, json: string): StackOutputs {
  const outputs = JSON.parse(json) as Partial<StackOutputs>;
  if (Object.keys(outputs).length === 0) {
    throw new Error(`stack ${name} has no outputs: run pulumi up -s ${name} first`);
  }
  const required = [
    "endpoint",
    "caCertificate",
    "model",
    "dimensions",
    "region",
    "secretArns",
    "secretArn",
  ] as const;
  const missing = required.filter((key) => outputs[key] === undefined);
  if (missing.length > 0) {
    throw new Error(`stack ${name} lacks ${missing.join(", ")}: run pulumi up -s ${name} to its end`);
  }
  return outputs as StackOutputs;
}

function runPulumi(args: string[], cwd: string, env: NodeJS.ProcessEnv): Promise<Finished> {
  const command = findPulumi(env);
  return new Promise((done, fail) => {
    const child = spawn(command, args, { cwd, env, stdio: ["ignore", "pipe", "pipe"] });
    let stdout = "";
    let stderr = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      stdout += text;
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      stderr += text;
    });
    child.on("error", (error) => fail(new Error(`${command} can't be run: ${error.message}`)));
    child.on("close", (code) => done({ code, stdout, stderr }));
  });
}

/** npm puts its own binaries first on PATH, the lazy installer among them; an installed Pulumi goes before it. */
function findPulumi(env: NodeJS.ProcessEnv): string {
  const folders = (env.PATH ?? "")
    .split(delimiter)
    .filter((folder) => folder && resolve(folder) !== NPM_BINARIES);
  const candidates = [...folders, NPM_BINARIES].map((folder) => join(folder, "pulumi"));
  const found = candidates.find(isExecutable);
  if (found === undefined) {
    throw new Error("there is no pulumi on PATH: run npm ci, which brings its installer");
  }
  return found;
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function said(finished: Finished): string {
  return finished.stderr.trim() || `pulumi ended with ${finished.code} and said nothing`;
}
