import type { Command } from "commander";
import { type Context, ScriptCommand, stackOption } from "../lib/commandLine";
import type { Tuning } from "./subject";

export interface DoctorOptions {
  stack: string;
  json?: boolean;
}

const HELP = `
It reads Pulumi.STACK.yaml, not Pulumi's backend, so the stack need not exist yet. It calls read-only actions of AWS,
listed in docs/reference/doctor.md. A row whose action these credentials may not call is skipped, and names the action.

Exit status: 0 no row failed, 1 a row failed or the settings are not valid, 2 wrong usage.`;

/** `npm run doctor`. */
export function doctorCommand(context: Context, tuning: Partial<Tuning> = {}): Command {
  return new ScriptCommand("doctor")
    .description(
      "Check what a deployment needs before pulumi up: tools, credentials, quotas, zones, names, image and weights. It " +
        "changes nothing.",
    )
    .addRequiredOption(stackOption("the stack to check: dev, prod, or another one with a Pulumi.STACK.yaml"))
    .option("--json", "print one JSON document")
    .addHelpText("after", HELP)
    .action(async (options: DoctorOptions) => {
      const { examine } = await import("./main");
      await examine(options, context, tuning);
    });
}
