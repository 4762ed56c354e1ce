import { type Command, Option } from "commander";
import { type Context, clientOption, ScriptCommand, stackOption } from "../lib/commandLine";

export interface RotateOptions {
  stack: string;
  client?: string;
  yes?: boolean;
  revokeNow?: boolean;
  revokePrevious?: boolean;
}

const EXIT_STATUS = "\nExit status: 0 done, 1 not, 2 wrong usage.";

/** `npm run rotate`. */
export function rotateCommand(context: Context): Command {
  return new ScriptCommand("rotate")
    .description(
      "Replace a client's API key: the new one works within seconds, the old one until the setting keyGraceSeconds has " +
        "passed. Nothing restarts. Neither key is printed.",
    )
    .addRequiredOption(stackOption("the stack whose key it is"))
    .addOption(clientOption())
    .option("--yes", "do not ask")
    .addOption(
      new Option(
        "--revoke-now",
        "refuse the old key at once, whatever keyGraceSeconds is: for a key that others have",
      ).conflicts("revokePrevious"),
    )
    .option(
      "--revoke-previous",
      "make no new key: refuse the one before the current key now, not at the end of its grace",
    )
    .addHelpText("after", EXIT_STATUS)
    .action(async (options: RotateOptions) => {
      const { rotateOrRevoke } = await import("./main");
      await rotateOrRevoke(options, context);
    });
}
