import type { Command } from "commander";
import { type Context, ScriptCommand } from "../lib/commandLine";
import type { RolloutTiming } from "./rollout";

const VARIABLES = `
Variables: ROLLOUT_AUTO_SCALING_GROUP, ROLLOUT_TEMPLATE_ID, ROLLOUT_TEMPLATE_VERSION, ROLLOUT_ALARMS (names with a space
between two), ROLLOUT_REGION, ROLLOUT_READY_SECONDS, ROLLOUT_CAPACITY (JSON, what instances are requested with, for
advice); optional: ROLLOUT_PROFILE, AWS_ENDPOINT_URL.

Exit status: 0 the group has all its instances, of this version, 1 it does not, 2 wrong usage.`;

/** What `pulumi up` runs for a fleet. It is no npm script: it has a part in an update only. */
export function rolloutCommand(context: Context, timing: Partial<RolloutTiming> = {}): Command {
  return new ScriptCommand("rollout", "rollout", "tsx scripts/cli.ts rollout")
    .description(
      "Replace the instances of an Auto Scaling group where needed, and wait for all. Run by pulumi up.",
    )
    .addHelpText("after", VARIABLES)
    .action(async () => {
      const { rollOut } = await import("./main");
      await rollOut(context, timing);
    });
}
