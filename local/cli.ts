import "../scripts/lib/nodeVersion";
import { Argument, Command } from "commander";
import { Context, matching, option, readValue, runProcess, ScriptCommand } from "../scripts/lib/commandLine";

const DEFAULT_NAME = "local";
/** Part of folders' names. */
const NAME = matching(/^[A-Za-z0-9_-][A-Za-z0-9._-]*$/, "letters, digits, ., _ and -");

const context = new Context(process.env, process);

const start = new ScriptCommand("start", "start", "npm start --")
  .description("Bring the whole stack up on this machine, to a verified endpoint.")
  .addArgument(nameArgument())
  .action(async (name: string) => {
    const { startEnvironment } = await import("./start");
    await startEnvironment(name, context);
  });

const stop = new ScriptCommand("stop", "stop", "npm stop --")
  .description("Destroy the stack of a local environment, and remove what it ran on.")
  .addArgument(nameArgument())
  .action(async (name: string) => {
    const { stopEnvironment } = await import("./stop");
    await stopEnvironment(name, context);
  });

const example = new ScriptCommand("example")
  .description(
    "Bring the application of examples/app up beside the embedding stack of a local environment, and query it.",
  )
  .addOption(
    option("--stack <name>", "the local environment, which npm start brings up", NAME).default(DEFAULT_NAME),
  )
  .option("--destroy", "take the application down again")
  .argument("[query...]", "what to ask (default: one question in English and one in Chinese)")
  .action(async (queries: string[], options: { stack: string; destroy?: boolean }) => {
    const { runExample } = await import("./example");
    await runExample({ ...options, queries }, context);
  });

const program = new Command("tsx local/cli.ts")
  .description("The local environment: the whole stack on the machine in front of you.")
  .addCommand(start)
  .addCommand(stop)
  .addCommand(example);

void runProcess(program, context);

function nameArgument(): Argument {
  return new Argument("[name]", "of the local environment")
    .argParser((text) => readValue("NAME", text, NAME))
    .default(DEFAULT_NAME);
}
