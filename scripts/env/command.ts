import { type Command, Option } from "commander";
import { type Context, clientOption, ScriptCommand, stackOption } from "../lib/commandLine";

export interface EnvOptions {
  stack: string;
  client?: string;
  /** The file to write. By default, the lines are printed. */
  write?: string;
}

/** `npm run env`. */
export function envCommand(context: Context): Command {
  return new ScriptCommand("env", "env", "npm run -s env --")
    .description(
      "Print the variables that a client needs to use the endpoint, including the key, as lines of a .env file.",
    )
    .addRequiredOption(stackOption("the stack whose endpoint to use"))
    .addOption(clientOption())
    .addOption(
      new Option(
        "--write [file]",
        "write the lines to this file (default: .env) with mode 600 instead of printing them",
      ).preset(".env"),
    )
    .action(async (options: EnvOptions) => {
      const { giveVariables } = await import("./main");
      await giveVariables(options, context);
    });
}
