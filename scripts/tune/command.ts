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
It runs the command qwen3-tune on the instance through Systems Manager, waits for it and prints its report.

Exit status: 0 measured, 1 failed, 2 wrong usage.`;

// Candidates become part of a shell command line.
const CANDIDATES = matching(
  /^[a-zA-Z0-9 .,]+$/,
  "names of letters, digits, dots and spaces, separated by commas",
);

/** `npm run tune`. */
export function tuneCommand(context: Context, tuning: TuneTuning = { pollMs: 10_000 }): Command {
  return new ScriptCommand("tune")
    .description(
      "Measure which arguments of SGLang are fast on an instance of this stack, with real traffic.",
    )
    .addRequiredOption(stackOption("the stack on whose instance to measure"))
    .addOption(
      option(
        "--instance <id>",
        "the instance, if the stack is a fleet",
        matching(/^i-[0-9a-f]+$/, "an instance's ID, i-…"),
      ),
    )
    .addOption(
      option("--seconds <n>", "seconds per kind of traffic, three times per candidate", whole(999)).default(
        10,
      ),
    )
    .addOption(
      option(
        "--candidates <names>",
        "measure only these; for an unknown name, qwen3-tune lists all names",
        CANDIDATES,
      ),
    )
    .option(
      "--yes",
      "required, because worker 0 does not serve during the measurement; with one GPU, nothing does",
    )
    .addHelpText("after", HELP)
    .action(async (options: TuneOptions) => {
      const { tune } = await import("./main");
      await tune(options, context, tuning);
    });
}
