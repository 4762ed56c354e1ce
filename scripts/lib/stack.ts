import type { AwsAccess } from "./aws";
import { localEnvironmentNames, readLocalEnvironment } from "./localEnvironment";
import { ROOT } from "./paths";
import { projectName } from "./project";
import { type Finished, failureOf, runPulumi } from "./pulumi";

/** A name, or `organization/project/name`, without a part that could lead out of the state directory. */
const STACK_NAME = /^[A-Za-z0-9_-][A-Za-z0-9._-]*(\/[A-Za-z0-9_-][A-Za-z0-9._-]*){0,2}$/;

/** The outputs of the stack, as index.ts names them. */
export interface StackOutputs {
  /** Base URL for OpenAI's clients, `https://HOST/v1`. */
  endpoint: string;
  /** PEM of the two CAs that can sign the endpoint's certificate; empty for a public CA. */
  caCertificate: string;
  model: string;
  /** Length of an embedding. */
  dimensions: number;
  region: string;
  /** Of a single instance. */
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
  /** A plain setting of this project, or of another namespace if the name contains a colon. */
  setting(name: string): string | undefined;
  /** The variables with which commands reach this stack's state and its AWS account. */
  env: NodeJS.ProcessEnv;
}

/**
 * Reads a stack's outputs and settings through the Pulumi CLI. A local environment has its own working directory and
 * variables; any other stack is read with those of this process.
 *
 * @throws Error that says what to do: no such stack, no outputs yet, no Pulumi.
 */
export async function openStack(name: string, processEnv: NodeJS.ProcessEnv = process.env): Promise<Stack> {
  if (!STACK_NAME.test(name)) {
    throw new Error(
      `--stack is ${JSON.stringify(name)}: a stack's name has letters, digits, ., _ and - only`,
    );
  }
  const local = readLocalEnvironment(name, processEnv);
  const env = { ...processEnv, ...local?.env };
  const folder = local?.workDir ?? ROOT;
  const pulumi = (...args: string[]) => runPulumi(args, folder, env);

  const output = await pulumi("stack", "output", "--json", "--stack", name);
  if (output.code !== 0) {
    throw await cannotOpen(name, output, processEnv, pulumi);
  }
  const outputs = parseOutputs(name, output.stdout);
  const config = await pulumi("config", "--json", "--stack", name);
  if (config.code !== 0) {
    throw new Error(`the settings of stack ${name} can't be read: ${failureOf(config)}`);
  }
  const settings = JSON.parse(config.stdout) as Record<string, { value?: string }>;
  const project = projectName(folder);
  return {
    name,
    outputs,
    env,
    setting: (key) => settings[key.includes(":") ? key : `${project}:${key}`]?.value,
  };
}

/** Whether the stack serves the published weights. Vectors of other weights have another meaning, or none. */
export function hasPublishedWeights(stack: Stack): boolean {
  return stack.setting("publishedWeights") !== "false";
}

/** The ARN of a client's secret; the first client's by default. */
export function clientSecretArn(stack: Stack, client: string | undefined): string {
  return client === undefined ? stack.outputs.secretArn : ofClient(stack, stack.outputs.secretArns, client);
}

/** The URN to replace to rotate a client's key; the first client's by default. */
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

/** Access to the stack's account. */
export function awsAccess(stack: Stack): AwsAccess {
  return {
    region: stack.outputs.region,
    env: stack.env,
    endpointUrl: stack.setting("awsEndpointUrl"),
    profile: stack.setting("aws:profile"),
  };
}

async function cannotOpen(
  name: string,
  failed: Finished,
  env: NodeJS.ProcessEnv,
  pulumi: (...args: string[]) => Promise<Finished>,
): Promise<Error> {
  if (!/no stack named/.test(failed.stderr)) {
    return new Error(`stack ${name} can't be read: ${failureOf(failed)}`);
  }
  const list = await pulumi("stack", "ls", "--json");
  const deployed = list.code === 0 ? (JSON.parse(list.stdout) as { name: string }[]).map((s) => s.name) : [];
  const names = [...new Set([...deployed, ...localEnvironmentNames(env)])]
    .filter((other) => other !== name)
    .sort();
  const next =
    names.length > 0
      ? `the stacks are ${names.join(", ")}`
      : `npx pulumi stack init ${name} creates one, and npm start creates a local one`;
  return new Error(`there is no stack ${name}; ${next}`);
}

function parseOutputs(name: string, json: string): StackOutputs {
  const outputs = JSON.parse(json) as Partial<StackOutputs>;
  if (Object.keys(outputs).length === 0) {
    throw new Error(`stack ${name} has no outputs: run npx pulumi up -s ${name} first`);
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
    throw new Error(
      `stack ${name} has no output ${missing.join(", ")}: complete an update with npx pulumi up -s ${name}`,
    );
  }
  return outputs as StackOutputs;
}
