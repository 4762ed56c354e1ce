import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { LocalWorkspace, type Stack } from "@pulumi/pulumi/automation";
import { parse, stringify } from "yaml";
import type { Environment } from "./environment";
import { ROOT } from "./paths";

const FOLDER = join(ROOT, "examples", "app");

/** Opens the example application's stack beside the embedding stack of a local environment, with its own program. */
export async function openExample(environment: Environment): Promise<Stack> {
  // The Automation API looks for the engine on this process's PATH alone.
  Object.assign(process.env, environment.env);
  const workDir = join(environment.state, "example");
  mkdirSync(workDir, { recursive: true });
  const project = parse(readFileSync(join(FOLDER, "Pulumi.yaml"), "utf8"));
  writeFileSync(join(workDir, "Pulumi.yaml"), stringify({ ...project, main: FOLDER }));
  const stack = await LocalWorkspace.createOrSelectStack(
    { stackName: environment.stackName, projectName: project.name, program: runProgram },
    { workDir, envVars: environment.env },
  );
  // In a backend of files every stack belongs to `organization`.
  const embeddingStack = `organization/qwen3-embedding-stack/${environment.stackName}`;
  await stack.setConfig(`${project.name}:embeddingStack`, { value: embeddingStack });
  return stack;
}

/** The same file that the plain command line runs. */
async function runProgram(): Promise<Record<string, unknown>> {
  const { default: program } = await import("../examples/app/index");
  return program();
}
