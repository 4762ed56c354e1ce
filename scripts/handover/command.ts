import { type Command, Option } from "commander";
import { type Context, ScriptCommand } from "../lib/commandLine";
import type { Pace } from "./main";

const VARIABLES = `
Variables: HANDOVER_INSTANCE_ID, HANDOVER_ALLOCATION_ID, HANDOVER_REGION, HANDOVER_TIMEOUT_SECONDS,
HANDOVER_DRAIN_SECONDS; optional: HANDOVER_PROFILE, AWS_ENDPOINT_URL.

Exit status: 0 the address can move, 1 it stays where it is and the new instance is terminated, 2 wrong usage.
docs/guides/changes.md describes every step.`;

/** What the stack runs between a new instance and the address. */
export function handoverCommand(context: Context, pace: Partial<Pace> = {}): Command {
  return new ScriptCommand("handover", "handover", "node --import tsx scripts/cli.ts handover")
    .description(
      "Wait until a new instance serves as the one that has the address does, and complete the requests of the latter. " +
        "The stack runs it before it moves the address.",
    )
    .addOption(
      new Option("--from-env", "read what to hand over from the variables below").makeOptionMandatory(),
    )
    .addHelpText("after", VARIABLES)
    .action(async () => {
      const { handOver } = await import("./main");
      await handOver(context, pace);
    });
}
