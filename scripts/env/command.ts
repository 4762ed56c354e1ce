import { type Command, Option } from "commander";
import { type Context, clientOption, ScriptCommand, stackOption } from "../lib/commandLine";

export interface EnvOptions {
  stack: string;
  client?: string;
  /** The file to write; without it, the lines are printed. */
  write?: string;
}

/** `npm run env`. */
export function envCommand(context: Context): Command {
  return new ScriptCommand("env", "env", "npm run -s env --")
    .description(
      "Print what a client needs to use the endpoint, as lines of a .env file. The key is among them.",
    )
    .addRequiredOption(stackOption("the stack whose endpoint it is"))
    .addOption(clientOption())
    .addOption(
      new Option(
        "--write [file]",
        "set the lines in this file, .env without a name, mode 600, and print none",
      ).preset(".env"),
    )
    .action(async (options: EnvOptions) => {
      const { giveVariables } = await import("./main");
      await giveVariables(options, context);
    });
}
