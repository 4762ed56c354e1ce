import type { Command } from "commander";
import { type Context, option, ScriptCommand, whole } from "../../scripts/lib/commandLine";

export interface GrowthOptions {
  windows: number;
  seconds: number;
  svg?: string;
  json?: string;
  gatewayOnly?: boolean;
}

const HELP = `
The gateway is an instance's nginx in front of workers that respond immediately; texts per request are measured with the
worker and the tiny model. All points are measured in alternation; their medians and quartiles are printed.

Requires Linux, root and what npm start installs. Takes a few minutes.

Exit status: 0 no cost grows faster than its cause, 1 a cost does, 2 wrong usage.`;

/** `npm run bench:growth`. */
export function growthCommand(context: Context): Command {
  return new ScriptCommand("growth", "bench:growth")
    .description(
      "Measure how cost grows with the number of keys, workers, connections and texts per request, on this computer.",
    )
    .addOption(option("--windows <n>", "windows per point", whole(999)).default(5))
    .addOption(option("--seconds <n>", "seconds per window", whole(999)).default(3))
    .option("--svg <file>", "write a chart of the curves")
    .option("--json <file>", "write the figures")
    .option("--gateway-only", "skip the texts per request, which require SGLang")
    .addHelpText("after", HELP)
    .action(async (options: GrowthOptions) => {
      const { measureGrowth } = await import("./main");
      await measureGrowth(options, context);
    });
}
