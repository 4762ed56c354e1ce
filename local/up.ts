import type { OutputMap } from "@pulumi/pulumi/automation";
import { JOURNALS } from "../components/bundle/systemd/journals";
import { ROOT } from "../scripts/lib/paths";
import { runProgram } from "../scripts/lib/program";
import { inMachine, listInstances } from "./container";
import type { Environment } from "./environment";
import { runWithProgress } from "./process";
import { configureRealProvider, programWithoutCommands } from "./realProvider";
import { openStack } from "./workspace";

/** Deploys the environment's stack with the repository's own program, and verifies the endpoint if an instance boots. */
export async function bringUp(environment: Environment): Promise<OutputMap> {
  Object.assign(process.env, environment.env);
  const { realProvider = false } = environment;
  const stack = await openStack(environment, realProvider ? programWithoutCommands : runProgram);
  if (realProvider) {
    await configureRealProvider(stack, environment.env.AWS_ENDPOINT_URL!);
  }
  const stopFollowing = followInstances();
  try {
    const result = await stack.up({
      onOutput: write,
      onError: write,
      suppressProgress: true,
      color: process.stdout.isTTY ? "always" : "never",
    });
    const changed = Object.entries(result.summary.resourceChanges ?? {}).some(
      ([kind, n]) => kind !== "same" && n > 0,
    );
    if (!changed && !realProvider) {
      // An update verifies what it changed. Without a change, nothing has verified the endpoint yet.
      await runWithProgress(
        "npm",
        ["run", "--silent", "verify", "--", "--stack", environment.name],
        (line) => console.log(line),
        {
          cwd: ROOT,
        },
      );
    }
    return result.outputs;
  } finally {
    stopFollowing();
  }
}

function write(text: string): void {
  process.stdout.write(text);
}

/** Prints the installation log of each instance as soon as the instance exists. */
function followInstances(): () => void {
  const seen = new Map<string, string>();
  const timer = setInterval(async () => {
    for (const { instanceId } of listInstances()) {
      const after = seen.get(instanceId);
      const entries = await inMachine(
        instanceId,
        `journalctl -o json -q --no-pager --namespace=+${JOURNALS.units.namespace} -u qwen3-bootstrap -u qwen3-model ${after ? `--after-cursor='${after}'` : ""}`,
      ).catch(() => "");
      for (const entry of entries.split("\n").filter((line) => line !== "")) {
        const { MESSAGE, __CURSOR } = JSON.parse(entry) as { MESSAGE: unknown; __CURSOR: string };
        seen.set(instanceId, __CURSOR);
        console.log(`  ${instanceId}: ${String(MESSAGE)}`);
      }
    }
  }, 5_000);
  return () => clearInterval(timer);
}
