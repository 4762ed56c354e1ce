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
On the CPU, a tiny model is served. On the first GPU, random weights with the 4B's exact shape are served twice at the
same time, which takes 40 GB of its memory, and 8 GB in the folder for temporary files.

Requires Linux, root and what npm start installs. Takes a few minutes.`;

/** `npm run bench:gateway`. */
export function gatewayCommand(context: Context): Command {
  return new ScriptCommand("gateway", "bench:gateway")
    .description(
      "Measure what the gateway costs: SGLang's own HTTP server, the stack's worker, and nginx with TLS and keys in front of the " +
        "worker, on this computer, in alternation.",
    )
    .addOption(option("--accelerator <name>", "cpu or cuda", oneOf(ACCELERATORS)).default("cpu"))
    .option(
      "--litellm <folder>",
      "a virtual environment with litellm[proxy], to measure LiteLLM in front of the same SGLang too",
    )
    .addOption(option("--seconds <n>", "seconds per endpoint and kind of request", whole(9999)).default(60))
    .addOption(
      option("--windows <n>", "windows into which each endpoint's time is divided", whole(9999)).default(12),
    )
    .option("--svg <file>", "write a chart of the latencies")
    .option("--json <file>", "write the figures")
    .addHelpText("after", HELP)
    .action(async (options: GatewayOptions) => {
      const { compareGateways } = await import("./main");
      await compareGateways(options, context);
    });
}
