import { type Command, Option } from "commander";
import {
  type Context,
  clientOption,
  oneOf,
  option,
  ScriptCommand,
  stackOption,
  whole,
} from "../lib/commandLine";
import type { FailOn } from "./row";
import type { RunOptions } from "./run";

export interface VerifyOptions {
  stack?: string;
  client?: string;
  fromEnv?: boolean;
  json?: boolean;
  /** Seconds. */
  timeout?: number;
  skipMachine?: boolean;
  failOn?: FailOn;
}

const VARIABLES = `
Variables of --from-env: VERIFY_ENDPOINT, VERIFY_CA_CERTIFICATE, VERIFY_SECRET_ARN, VERIFY_REGION, VERIFY_MODEL,
VERIFY_DIMENSIONS, VERIFY_INSTANCE_ID or VERIFY_AUTO_SCALING_GROUP, VERIFY_PUBLISHED_WEIGHTS; optional:
VERIFY_TIMEOUT_SECONDS, VERIFY_PROFILE.

Exit status: 0 every check passed, 1 a check failed, 2 wrong usage. A warning is not a failure.
docs/reference/verify.md describes every check.`;

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
    .option("--skip-machine", "check only from outside, not on the instance")
    .addOption(
      option(
        "--fail-on <rows>",
        "which failed rows fail the run: all, or keys. With keys, failures of other rows are warnings, and nothing " +
          "waits for them: for a change of keys alone (default: all)",
        oneOf(["all", "keys"] as const),
      ),
    )
    .addHelpText("after", VARIABLES)
    .action(async (options: VerifyOptions) => {
      const { verifyEndpoint } = await import("./main");
      await verifyEndpoint(options, context, tuning);
    });
}
