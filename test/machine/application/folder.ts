import { parseEnv } from "node:util";
import { type Environment, readEnvironment } from "../../../local/environment";
import { run } from "../../../local/process";
import { ROOT } from "../../../scripts/lib/paths";
import { openStack, type StackOutputs } from "../../../scripts/lib/stack";

/** A local environment with its deployed stack, for tests of applications. */
export interface ApplicationFolder {
  /** Name of the environment and of the stack. */
  name: string;
  environment: Environment;
  outputs: StackOutputs;
}

/** What an application can see of the environment of this name, whose stack is deployed. */
export async function applicationFolder(name: string): Promise<ApplicationFolder> {
  return { name, environment: readEnvironment(name)!, outputs: (await openStack(name)).outputs };
}

/** The current output of `npm run env`, by name. */
export async function variables({ name }: Pick<ApplicationFolder, "name">): Promise<Record<string, string>> {
  return parseEnv(await npm("run", "--silent", "env", "--", "--stack", name)) as Record<string, string>;
}

/** Standard output of an npm command, as a person runs it. @throws Error if it fails */
export function npm(...args: string[]): Promise<string> {
  return run("npm", args, { cwd: ROOT });
}
