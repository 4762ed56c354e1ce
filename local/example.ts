import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { InvokeCommand, LambdaClient } from "@aws-sdk/client-lambda";
import { LocalWorkspace, type Stack } from "@pulumi/pulumi/automation";
import { parse, stringify } from "yaml";
import { awsClientConfig } from "../scripts/lib/aws";
import type { Context } from "../scripts/lib/commandLine";
import { ROOT } from "../scripts/lib/paths";
import { projectName } from "../scripts/lib/project";
import { type Environment, isUsable, readEnvironment } from "./environment";

const FOLDER = join(ROOT, "examples", "app");
const QUERIES = ["Why does ice float on water?", "蝙蝠在黑暗中怎样捕食？"];

export interface ExampleOptions {
  /** Name of the local environment. */
  stack: string;
  destroy?: boolean;
  queries: string[];
}

interface Found {
  score: number;
  text: string;
}

/** Deploys the example application in a local environment and queries it, or destroys it. */
export async function runExample(
  { stack: name, destroy, queries }: ExampleOptions,
  context: Context,
): Promise<void> {
  const environment = readEnvironment(name);
  if (!environment || !isUsable(environment)) {
    throw new Error(`there is no local environment ${name}: npm start creates one`);
  }
  if (environment.realProvider) {
    throw new Error(`the local environment ${name} has no endpoint: it was started with --real-provider`);
  }
  const stack = await openExample(environment);
  const color = process.stdout.isTTY ? ("always" as const) : ("never" as const);
  const output = { onOutput: (text: string) => context.out(text), suppressProgress: true, color };
  if (destroy) {
    await stack.destroy({ ...output, remove: true });
    return;
  }
  const { outputs } = await stack.up(output);
  context.out("The results are meaningless: the local environment's weights are random.\n\n");
  for (const query of queries.length > 0 ? queries : QUERIES) {
    const results = await search(environment, outputs.functionName?.value, query);
    const lines = results.map(({ score, text }) => `  ${score.toFixed(4)}  ${text}`);
    context.out(`${[query, ...lines].join("\n")}\n`);
  }
}

/** Opens the example application's stack, with its own program, in the backend of a local environment. */
export async function openExample(environment: Environment): Promise<Stack> {
  // The Automation API looks for the engine only on this process's PATH.
  Object.assign(process.env, environment.env);
  const workDir = join(environment.state, "example");
  mkdirSync(workDir, { recursive: true });
  const project = parse(readFileSync(join(FOLDER, "Pulumi.yaml"), "utf8"));
  writeFileSync(join(workDir, "Pulumi.yaml"), stringify({ ...project, main: FOLDER }));
  const stack = await LocalWorkspace.createOrSelectStack(
    { stackName: environment.stackName, projectName: project.name, program: runProgram },
    { workDir, envVars: environment.env },
  );
  // In a file backend every stack belongs to `organization`.
  const embeddingStack = `organization/${projectName(environment.workDir)}/${environment.stackName}`;
  await stack.setConfig(`${project.name}:embeddingStack`, { value: embeddingStack });
  return stack;
}

/** The example's own program, as the Pulumi command line runs it. */
async function runProgram(): Promise<Record<string, unknown>> {
  const { default: program } = await import("../examples/app/index");
  return program();
}

/** Invokes the application's function as an authorised caller. @throws Error with the function's error message */
async function search(environment: Environment, functionName: string, query: string): Promise<Found[]> {
  const client = new LambdaClient(awsClientConfig({ region: "us-east-1", env: environment.env }));
  try {
    const reply = await client.send(
      new InvokeCommand({ FunctionName: functionName, Payload: JSON.stringify({ query }) }),
    );
    const body = JSON.parse(Buffer.from(reply.Payload ?? []).toString());
    if (reply.FunctionError) {
      throw new Error(`the function failed: ${body.errorMessage}`);
    }
    return body.results;
  } finally {
    client.destroy();
  }
}
