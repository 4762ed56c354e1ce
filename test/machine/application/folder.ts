import { parseEnv } from "node:util";
import { type Environment, readEnvironment } from "../../../local/environment";
import { run } from "../../../local/process";
import { ROOT } from "../../../scripts/lib/paths";
import { openStack, type StackOutputs } from "../../../scripts/lib/stack";

/** A local environment with its stack up, for tests of what an application does with it. */
export interface ApplicationFolder {
  /** The environment's and the stack's name. */
  name: string;
  environment: Environment;
  outputs: StackOutputs;
}

/** What an application sees of the environment of this name, whose stack is up. */
export async function applicationFolder(name: string): Promise<ApplicationFolder> {
  return { name, environment: readEnvironment(name)!, outputs: (await openStack(name)).outputs };
}

/** What `npm run env` prints now, by name. */
export async function variables({ name }: ApplicationFolder): Promise<Record<string, string>> {
  return parseEnv(await npm("run", "--silent", "env", "--", "--stack", name)) as Record<string, string>;
}

/** Standard output of an npm command, as a person runs it. @throws when it fails */
export function npm(...args: string[]): Promise<string> {
  return run("npm", args, { cwd: ROOT });
}
