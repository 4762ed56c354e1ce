import { type Command, Option } from "commander";
import { type Context, clientOption, ScriptCommand, stackOption } from "../lib/commandLine";

export interface RotateOptions {
  stack: string;
  client?: string;
  yes?: boolean;
  revokeNow?: boolean;
  revokePrevious?: boolean;
}

const EXIT_STATUS = "\nExit status: 0 done, 1 not done, 2 wrong usage.";

/** `npm run rotate`. */
export function rotateCommand(context: Context): Command {
  return new ScriptCommand("rotate")
    .description(
      "Replace a client's API key. The new key works within seconds; the old key works for keyGraceSeconds more. " +
        "Nothing restarts, and no key is printed.",
    )
    .addRequiredOption(stackOption("the stack whose key to rotate"))
    .addOption(clientOption())
    .option("--yes", "do not ask for confirmation")
    .addOption(
      new Option(
        "--revoke-now",
        "revoke the old key immediately, regardless of keyGraceSeconds: for a key that was leaked",
      ).conflicts("revokePrevious"),
    )
    .option(
      "--revoke-previous",
      "create no key; revoke the previous key now instead of at the end of its grace period",
    )
    .addHelpText("after", EXIT_STATUS)
    .action(async (options: RotateOptions) => {
      const { rotateOrRevoke } = await import("./main");
      await rotateOrRevoke(options, context);
    });
}
