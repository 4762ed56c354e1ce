import { type Command, Option } from "commander";
import { type Context, clientOption, option, ScriptCommand, stackOption, whole } from "../lib/commandLine";
import type { RunOptions } from "./run";

export interface VerifyOptions {
  stack?: string;
  client?: string;
  fromEnv?: boolean;
  json?: boolean;
  /** Seconds. */
  timeout?: number;
  skipMachine?: boolean;
}

const VARIABLES = `
Variables of --from-env: VERIFY_ENDPOINT, VERIFY_CA_CERTIFICATE, VERIFY_SECRET_ARN, VERIFY_REGION, VERIFY_MODEL,
VERIFY_DIMENSIONS, VERIFY_INSTANCE_ID or VERIFY_AUTO_SCALING_GROUP, VERIFY_PUBLISHED_WEIGHTS; optional:
VERIFY_TIMEOUT_SECONDS, VERIFY_PROFILE.

Exit status: 0 every check passed, 1 a check failed, 2 wrong usage.`;

/** `npm run verify`. */
export function verifyCommand(context: Context, tuning: Partial<RunOptions> = {}): Command {
  return new ScriptCommand("verify")
    .description("Check a deployed endpoint and its instances, and print one row per check.")
    .addOption(stackOption("the stack to check; alternatively --from-env"))
    .addOption(clientOption())
    .addOption(
      new Option("--from-env", "read what to check from the variables below").conflicts(["stack", "client"]),
    )
    .option("--json", "print one JSON document")
    .addOption(
      option("--timeout <seconds>", "how long to wait until the endpoint is ready (default: 2700)", whole()),
    )
    .option("--skip-machine", "do not search the instance for keys")
    .addHelpText("after", VARIABLES)
    .action(async (options: VerifyOptions) => {
      const { verifyEndpoint } = await import("./main");
      await verifyEndpoint(options, context, tuning);
    });
}
