import { type Command, Option } from "commander";
import { type Context, option, ScriptCommand, stackOption, whole } from "../lib/commandLine";

export interface ImageOptions {
  stack: string;
  check?: boolean;
  /** Days. */
  maxAge: number;
  roll?: boolean;
  yes?: boolean;
  json?: boolean;
}

/** With a monthly roll, no image gets this old: AWS releases its GPU images several times a month. */
const MAX_AGE_DAYS = 60;

const HELP = `
Without --check and --roll it shows the image and changes nothing. docs/guides/image.md describes when to roll.

Exit status: 0 done, 1 not done or, with --check, a new image is due, 2 wrong usage.`;

/** `npm run image`. */
export function imageCommand(context: Context): Command {
  return new ScriptCommand("image")
    .description(
      "Show how old the AMI of a stack's instances is, and what AWS has released since. A stack keeps its AMI, with its " +
        "kernel and driver, until you move it to AWS's latest one.",
    )
    .addRequiredOption(stackOption("the stack whose image to show"))
    .addOption(
      new Option(
        "--check",
        "fail if the image is deprecated, gone, or older than --max-age while AWS has a newer one",
      ).conflicts("roll"),
    )
    .addOption(option("--max-age <days>", "for --check", whole(3650)).default(MAX_AGE_DAYS))
    .addOption(
      new Option("--roll", "move to AWS's latest image, which replaces every instance").conflicts("json"),
    )
    .option("--yes", "with --roll: do not ask for confirmation")
    .option("--json", "print one JSON document")
    .addHelpText("after", HELP)
    .action(async (options: ImageOptions) => {
      const { showOrRoll } = await import("./main");
      await showOrRoll(options, context);
    });
}
