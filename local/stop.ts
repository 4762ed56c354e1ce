import type { Context } from "../scripts/lib/commandLine";
import { CACHE } from "../scripts/lib/paths";
import { type Environment, readEnvironment, removeEnvironment } from "./environment";
import { openStack } from "./workspace";

/** Destroys a local environment's stack with the engine, then ends its processes and removes its files. */
export async function stopEnvironment(name: string, context: Context): Promise<void> {
  const environment = readEnvironment(name);
  if (!environment) {
    context.out(`There is no local environment ${name}.\n`);
    return;
  }
  try {
    await destroyStack(environment, context);
  } catch (error) {
    context.err(
      `The engine could not destroy the stack: ${(error as Error).message}\nRemoving what it ran on anyway.\n`,
    );
  } finally {
    await removeEnvironment(environment);
  }
  context.out(`The local environment ${name} is gone. The cache in ${CACHE} is kept for the next start.\n`);
}

async function destroyStack(environment: Environment, context: Context): Promise<void> {
  Object.assign(process.env, environment.env);
  const stack = await openStack(environment, async () => ({}));
  // An update that is in progress, or was killed, holds the stack's lock.
  await stack.cancel().catch(() => undefined);
  await stack.destroy({ onOutput: (text) => context.out(text), remove: true });
}
