import { execFileSync } from "node:child_process";
import { parseEnv } from "node:util";
import { type Environment, preparation, readEnvironment, removeEnvironment } from "../../local/environment";
import { ROOT } from "../../local/paths";
import { bringUp } from "../../local/up";
import { openStack, type StackOutputs } from "../../scripts/lib/stack";

/** A local environment with its stack up, for tests of what an application does with it. */
export interface Sandbox {
  /** The environment's and the stack's name. */
  name: string;
  environment: Environment;
  outputs: StackOutputs;
  /** What `npm run env` prints now, by name. */
  variables(): Record<string, string>;
  /** Removes the environment if {@link useSandbox} made it. */
  release(): Promise<void>;
}

/** The running environment that QWEN3_TEST_ENVIRONMENT names, otherwise one that is brought up for the caller. */
export async function useSandbox(): Promise<Sandbox> {
  const given = process.env.QWEN3_TEST_ENVIRONMENT;
  const name = given ?? "app-test";
  if (given === undefined) {
    await remove(name);
    for (const step of preparation(name)) {
      console.log(`${step.title}: ${await step.run(() => undefined)}`);
    }
    await bringUp(readEnvironment(name)!);
  }
  return {
    name,
    environment: readEnvironment(name)!,
    outputs: (await openStack(name)).outputs,
    variables: () => parseEnv(npm("run", "--silent", "env", "--", "--stack", name)) as Record<string, string>,
    release: () => (given === undefined ? remove(name) : Promise.resolve()),
  };
}

async function remove(name: string): Promise<void> {
  const left = readEnvironment(name);
  if (left) {
    await removeEnvironment(left);
  }
}

function npm(...args: string[]): string {
  return execFileSync("npm", args, { cwd: ROOT, encoding: "utf8" });
}
