import type { Command } from "commander";
import { type Context, matching, option, ScriptCommand, stackOption, whole } from "../lib/commandLine";

export interface TuneOptions {
  stack: string;
  instance?: string;
  seconds: number;
  candidates?: string;
  yes?: boolean;
}

export interface TuneTuning {
  pollMs: number;
}

const HELP = `
It starts the command qwen3-tune on the instance through Systems Manager, waits for it and prints what it found.

Exit status: 0 measured, 1 not, 2 wrong usage.`;

// Candidates become part of a shell's line.
const CANDIDATES = matching(
  /^[a-zA-Z0-9 .,]+$/,
  "names of letters, digits, dots and spaces, separated by commas",
);

/** `npm run tune`. */
export function tuneCommand(context: Context, tuning: TuneTuning = { pollMs: 10_000 }): Command {
  return new ScriptCommand("tune")
    .description(
      "Find out which of SGLang's arguments are fast on an instance of this stack, by measuring them there with real traffic.",
    )
    .addRequiredOption(stackOption("the stack whose instance measures"))
    .addOption(
      option(
        "--instance <id>",
        "the instance, where the stack's outputs name none",
        matching(/^i-[0-9a-f]+$/, "an instance's ID, i-…"),
      ),
    )
    .addOption(
      option("--seconds <n>", "for each kind of traffic, three times for each candidate", whole(999)).default(
        10,
      ),
    )
    .addOption(
      option(
        "--candidates <names>",
        "only these; for an unknown one, qwen3-tune on the instance names all",
        CANDIDATES,
      ),
    )
    .option("--yes", "needed: worker 0 does not serve meanwhile, and on an instance of one GPU nothing does")
    .addHelpText("after", HELP)
    .action(async (options: TuneOptions) => {
      const { tune } = await import("./main");
      await tune(options, context, tuning);
    });
}
