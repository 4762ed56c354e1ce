import { parseEnv } from "node:util";
import {
  type Environment,
  preparation,
  readEnvironment,
  removeEnvironment,
} from "../../../local/environment";
import { ROOT } from "../../../local/paths";
import { run } from "../../../local/process";
import { bringUp } from "../../../local/up";
import { openStack, type StackOutputs } from "../../../scripts/lib/stack";

/** An environment of its own, beside the one that somebody may be working with. */
const OWN = "app-test";

/** A local environment with its stack up, for tests of what an application does with it. */
export interface Sandbox {
  /** The environment's and the stack's name. */
  name: string;
  environment: Environment;
  outputs: StackOutputs;
}

/** The running environment that QWEN3_TEST_ENVIRONMENT names, otherwise one that is brought up for the caller. */
export async function openSandbox(): Promise<Sandbox> {
  const name = process.env.QWEN3_TEST_ENVIRONMENT ?? OWN;
  if (name === OWN) {
    await removeOwn();
    for (const step of preparation(name)) {
      console.log(`${step.title}: ${await step.run(() => undefined)}`);
    }
    await bringUp(readEnvironment(name)!);
  }
  return { name, environment: readEnvironment(name)!, outputs: (await openStack(name)).outputs };
}

/** Removes the environment that {@link openSandbox} made, whole or not. */
export async function closeSandbox(): Promise<void> {
  if (process.env.QWEN3_TEST_ENVIRONMENT === undefined) {
    await removeOwn();
  }
}

/** What `npm run env` prints now, by name. */
export async function variables({ name }: Sandbox): Promise<Record<string, string>> {
  return parseEnv(await npm("run", "--silent", "env", "--", "--stack", name)) as Record<string, string>;
}

/** Standard output of an npm command, as a person runs it. @throws when it fails */
export function npm(...args: string[]): Promise<string> {
  return run("npm", args, { cwd: ROOT });
}

async function removeOwn(): Promise<void> {
  const left = readEnvironment(OWN);
  if (left) {
    await removeEnvironment(left);
  }
}
