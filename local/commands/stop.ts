import { readEnvironment, removeEnvironment } from "../environment";
import { openStack } from "../workspace";

/** `npm stop`: destroys the local stack through the engine, then ends and removes what it ran on. */
async function main(name: string): Promise<void> {
  const environment = readEnvironment(name);
  if (!environment) {
    console.log(`There is no local environment ${name}.`);
    return;
  }
  try {
    Object.assign(process.env, environment.env);
    const stack = await openStack(environment, async () => ({}));
    // An update that is under way, or was killed, holds the stack's lock.
    await stack.cancel().catch(() => undefined);
    await stack.destroy({ onOutput: (text) => process.stdout.write(text), remove: true });
  } catch (error) {
    console.error(
      `The engine could not destroy the stack: ${(error as Error).message}\nRemoving what it ran on all the same.`,
    );
  } finally {
    await removeEnvironment(environment);
  }
  console.log(
    `The local environment ${name} is gone. The cache in ~/.cache/qwen3-embedding-stack stays for the next start.`,
  );
}

main(process.argv[2] ?? "local").catch((error: Error) => {
  console.error(error.message);
  process.exitCode = 1;
});
