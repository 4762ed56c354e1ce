import "../scripts/lib/nodeVersion";
import { Argument, Command } from "commander";
import { Context, matching, option, readValue, runProcess, ScriptCommand } from "../scripts/lib/commandLine";

const DEFAULT_NAME = "local";
/** Names become part of folder names. */
const NAME = matching(/^[A-Za-z0-9_-][A-Za-z0-9._-]*$/, "letters, digits, ., _ and -");

const context = new Context(process.env, process);

const start = new ScriptCommand("start", "start", "npm start --")
  .description("Deploy the whole stack on this computer and verify its endpoint.")
  .addArgument(nameArgument())
  .option(
    "--real-provider",
    "use AWS's own Pulumi provider, against the emulator; no instance boots and nothing is verified",
  )
  .action(async (name: string, options: { realProvider?: boolean }) => {
    const { startEnvironment } = await import("./start");
    await startEnvironment(name, context, options);
  });

const stop = new ScriptCommand("stop", "stop", "npm stop --")
  .description("Destroy the stack of a local environment, and remove everything that it ran on.")
  .addArgument(nameArgument())
  .action(async (name: string) => {
    const { stopEnvironment } = await import("./stop");
    await stopEnvironment(name, context);
  });

const example = new ScriptCommand("example")
  .description(
    "Deploy the application of examples/app next to the embedding stack of a local environment, and query it.",
  )
  .addOption(
    option("--stack <name>", "name of a local environment that npm start created", NAME).default(
      DEFAULT_NAME,
    ),
  )
  .option("--destroy", "destroy the application")
  .argument("[query...]", "the queries (default: one question in English and one in Chinese)")
  .action(async (queries: string[], options: { stack: string; destroy?: boolean }) => {
    const { runExample } = await import("./example");
    await runExample({ ...options, queries }, context);
  });

const program = new Command("tsx local/cli.ts")
  .description("The local environment: the whole stack on this computer.")
  .addCommand(start)
  .addCommand(stop)
  .addCommand(example);

void runProcess(program, context);

function nameArgument(): Argument {
  return new Argument("[name]", "name of the local environment")
    .argParser((text) => readValue("NAME", text, NAME))
    .default(DEFAULT_NAME);
}
