import type { Command } from "commander";
import { type Context, oneOf, option, ScriptCommand, whole } from "../../scripts/lib/commandLine";
import { ACCELERATORS, type Accelerator } from "../lib/accelerators";

export interface GatewayOptions {
  accelerator: Accelerator;
  /** Folder of a virtual environment. */
  litellm?: string;
  seconds: number;
  windows: number;
  svg?: string;
  json?: string;
}

const HELP = `
On the CPU a tiny model is served; on the first GPU, random weights of the 4B's exact shape, twice beside each other: 40 GB
of its memory, and 8 GB in the folder for temporary files.

Needs Linux, root and what npm start has installed. Takes some minutes.`;

/** `npm run bench:gateway`. */
export function gatewayCommand(context: Context): Command {
  return new ScriptCommand("gateway", "bench:gateway")
    .description(
      "What the gateway costs: SGLang's own HTTP server, the stack's worker, and nginx with TLS and keys in front of the " +
        "worker, on this machine, measured in turns.",
    )
    .addOption(option("--accelerator <name>", "cpu or cuda", oneOf(ACCELERATORS)).default("cpu"))
    .option(
      "--litellm <folder>",
      "a virtual environment with litellm[proxy]: measured too, in front of the same SGLang",
    )
    .addOption(option("--seconds <n>", "for each endpoint and kind of request", whole(9999)).default(60))
    .addOption(
      option("--windows <n>", "turns that each endpoint's time is cut into", whole(9999)).default(12),
    )
    .option("--svg <file>", "a picture of the latencies")
    .option("--json <file>", "the figures")
    .addHelpText("after", HELP)
    .action(async (options: GatewayOptions) => {
      const { compareGateways } = await import("./main");
      await compareGateways(options, context);
    });
}
