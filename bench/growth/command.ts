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
The gateway is an instance's nginx in front of workers that reply at once; texts a request go to the worker with the tiny
model. Every point is measured in turns with the others, and its median and quartiles are printed.

Needs Linux, root and what npm start has installed. Takes some minutes.

Exit status: 0 nothing grows faster than its cause, 1 something does, 2 wrong usage.`;

/** `npm run bench:growth`. */
export function growthCommand(context: Context): Command {
  return new ScriptCommand("growth", "bench:growth")
    .description(
      "How cost grows with the number of keys, workers, connections and texts a request, on this machine.",
    )
    .addOption(option("--windows <n>", "of each point", whole(999)).default(5))
    .addOption(option("--seconds <n>", "of each window", whole(999)).default(3))
    .option("--svg <file>", "a picture of the curves")
    .option("--json <file>", "the figures")
    .option("--gateway-only", "leave out the texts a request, which need SGLang")
    .addHelpText("after", HELP)
    .action(async (options: GrowthOptions) => {
      const { measureGrowth } = await import("./main");
      await measureGrowth(options, context);
    });
}
