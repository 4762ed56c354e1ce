import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { stateFolder, stateRoot } from "./paths";

/** Where Pulumi works for one stack. For a local environment, `npm start` writes it for other commands. */
export interface Workspace {
  stackName: string;
  /** Folder with Pulumi.yaml and the stack's configuration, both derived from the repository's. */
  workDir: string;
  /** The variables with which the engine finds its state, and its providers find AWS. */
  env: Record<string, string>;
}

const FILE = "environment.json";

/** The file that describes the local environment of this name. */
export function localEnvironmentFile(name: string, env: NodeJS.ProcessEnv = process.env): string {
  return join(stateFolder(name, env), FILE);
}

/** The local environment of this name, if there is one. */
export function readLocalEnvironment(
  name: string,
  env: NodeJS.ProcessEnv = process.env,
): Workspace | undefined {
  const file = localEnvironmentFile(name, env);
  return existsSync(file) ? (JSON.parse(readFileSync(file, "utf8")) as Workspace) : undefined;
}

export function localEnvironmentNames(env: NodeJS.ProcessEnv = process.env): string[] {
  const root = stateRoot(env);
  const names = existsSync(root) ? readdirSync(root) : [];
  return names.filter((name) => existsSync(join(root, name, FILE)));
}
