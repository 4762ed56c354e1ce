import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { LocalWorkspace, type PulumiFn, type Stack } from "@pulumi/pulumi/automation";
import { parse, stringify } from "yaml";
import type { Workspace } from "../scripts/lib/localEnvironment";
import { ROOT } from "../scripts/lib/paths";
import { projectName } from "../scripts/lib/project";
import { ADMINISTRATOR } from "./aws/administrator";

/** Creates a workspace in `state`: Pulumi's state in files there, its secrets encrypted with a generated passphrase. */
export function createWorkspace(
  state: string,
  stackName: string,
  settings: {
    configuration: string;
    values: Record<string, unknown>;
    path: string;
    awsEndpointUrl: string;
  },
): Workspace {
  const workDir = join(state, "work");
  const backend = join(state, "pulumi");
  const passphrase = join(state, "passphrase");
  mkdirSync(workDir, { recursive: true });
  mkdirSync(backend, { recursive: true });
  if (!existsSync(passphrase)) {
    writeFileSync(passphrase, randomBytes(24).toString("base64url"), { mode: 0o600 });
  }
  writeProject(workDir);
  writeConfiguration(workDir, stackName, settings.configuration, settings.values);
  return {
    stackName,
    workDir,
    env: {
      PATH: settings.path,
      PULUMI_HOME: pulumiHome(state),
      PULUMI_BACKEND_URL: `file://${backend}`,
      PULUMI_CONFIG_PASSPHRASE_FILE: passphrase,
      PULUMI_SKIP_UPDATE_CHECK: "true",
      AWS_ENDPOINT_URL: settings.awsEndpointUrl,
      AWS_ACCESS_KEY_ID: ADMINISTRATOR.accessKeyId,
      AWS_SECRET_ACCESS_KEY: ADMINISTRATOR.secretAccessKey,
      AWS_REGION: "us-east-1",
    },
  };
}

/** PULUMI_HOME of the environment in this folder. */
export function pulumiHome(state: string): string {
  return join(state, "pulumi-home");
}

/** Opens the workspace's stack with a program, usually the repository's own. */
export function openStack(workspace: Workspace, program: PulumiFn): Promise<Stack> {
  // The Automation API looks for the engine only on this process's PATH.
  process.env.PATH = workspace.env.PATH;
  return LocalWorkspace.createOrSelectStack(
    { stackName: workspace.stackName, projectName: projectName(workspace.workDir), program },
    { workDir: workspace.workDir, envVars: workspace.env },
  );
}

/** Writes Pulumi.yaml with `main` in the repository, so that the program and its commands run there. */
function writeProject(workDir: string): void {
  const project = parse(readFileSync(join(ROOT, "Pulumi.yaml"), "utf8"));
  writeFileSync(join(workDir, "Pulumi.yaml"), stringify({ ...project, main: ROOT }));
}

/** Writes the stack's configuration: the repository's, and values that are only known now. */
function writeConfiguration(
  workDir: string,
  stackName: string,
  configuration: string,
  values: Record<string, unknown>,
): void {
  const path = configurationFile(workDir, stackName);
  const project = projectName();
  const added = Object.fromEntries(
    Object.entries(values).map(([name, value]) => [`${project}:${name}`, value]),
  );
  // The engine's own entries, such as the salt of its secrets, are kept.
  writeFileSync(
    path,
    stringify({ ...readYaml(path), config: { ...readRepositorySettings(configuration), ...added } }),
  );
}

/**
 * Makes the repository's configuration, as it is now, that of an existing workspace. Settings that the repository no
 * longer has are removed, except those in `own`, whose values remain.
 *
 * @param own names of the settings that {@link createWorkspace} got as `values`
 * @returns the names of the settings that changed, sorted
 * @throws Error if the file is not YAML
 */
export function updateConfiguration(
  { workDir, stackName }: Workspace,
  configuration: string,
  own: readonly string[],
): string[] {
  const before = readYaml(configurationFile(workDir, stackName)).config ?? {};
  const project = projectName();
  const kept = own.filter((name) => before[`${project}:${name}`] !== undefined);
  const values = Object.fromEntries(kept.map((name) => [name, before[`${project}:${name}`]]));
  writeConfiguration(workDir, stackName, configuration, values);
  const after = readYaml(configurationFile(workDir, stackName)).config ?? {};
  return [...new Set([...Object.keys(before), ...Object.keys(after)])]
    .filter((name) => !isDeepStrictEqual(before[name], after[name]))
    .map((name) => name.replace(`${project}:`, ""))
    .sort();
}

function configurationFile(workDir: string, stackName: string): string {
  return join(workDir, `Pulumi.${stackName}.yaml`);
}

function readRepositorySettings(configuration: string): Record<string, unknown> {
  try {
    return readYaml(join(ROOT, configuration)).config ?? {};
  } catch (error) {
    throw new Error(`${configuration} is not YAML: ${(error as Error).message}`);
  }
}

/** A configuration file's content; nothing if it is missing or empty. */
function readYaml(path: string): { config?: Record<string, unknown> } {
  return existsSync(path) ? (parse(readFileSync(path, "utf8")) ?? {}) : {};
}
