import { Command, CommanderError, Option } from "commander";
import { Redactor } from "./redactor";
import { describeError } from "./text";

/** Wrong usage: an option, an argument or a variable is missing or has a value that is not allowed. */
export class UsageError extends Error {}

/** Where a command writes; `process` is one. */
export interface Streams {
  stdout: { write(text: string): unknown };
  stderr: { write(text: string): unknown };
}

/** The environment of a command; a test passes its own variables and streams. */
export class Context {
  /** The exit status: 0 for success, 1 if a check or an operation failed, 2 for wrong usage. */
  status = 0;
  readonly #redactor = new Redactor();
  readonly #streams: Streams;

  constructor(
    readonly env: NodeJS.ProcessEnv,
    streams: Streams,
  ) {
    this.#streams = streams;
  }

  /** Removes a key from everything that is written from now on. */
  hide(key: string): void {
    this.#redactor.add(key);
  }

  out(text: string): void {
    this.#streams.stdout.write(this.#redactor.redact(text));
  }

  err(text: string): void {
    this.#streams.stderr.write(this.#redactor.redact(text));
  }

  /** Writes text that contains a key to stdout, for a caller that requested it. */
  outWithKey(text: string): void {
    this.#streams.stdout.write(text);
  }
}

/** A command that an npm script runs: its help shows how to run it, and its errors begin with the script's name. */
export class ScriptCommand extends Command {
  readonly #required: Option[] = [];

  /**
   * @param script the name of the npm script
   * @param typed the command line in front of the options
   */
  constructor(
    name: string,
    readonly script: string = name,
    typed = `npm run ${script} --`,
  ) {
    super(name);
    this.configureHelp({
      commandUsage: (command) => {
        const required = this.#required.map(({ flags }) => flags.replace(/^-\w, /, ""));
        return [typed, ...required, command.usage()].join(" ");
      },
    });
    this.hook("preAction", () => this.#checkRequired());
  }

  /** A required option. */
  addRequiredOption(required: Option): this {
    this.#required.push(required);
    return this.addOption(required);
  }

  /** Commander's own check runs first and would report a misspelt option as a missing one. @throws UsageError */
  #checkRequired(): void {
    for (const required of this.#required) {
      if (this.getOptionValue(required.attributeName()) === undefined) {
        throw new UsageError(`${required.long} is not set: ${required.description}`);
      }
    }
  }
}

/** The texts that an option accepts, and the value of each. */
export interface Rule<T> {
  allowed: string;
  /** Returns undefined if the text is not allowed. */
  read(text: string): T | undefined;
}

/** @param most the maximum; unlimited by default */
export function whole(most?: number): Rule<number> {
  return {
    allowed: most === undefined ? "a whole number above 0" : `a whole number from 1 to ${most}`,
    read: (text) =>
      /^[1-9]\d*$/.test(text) && Number(text) <= (most ?? Number.MAX_SAFE_INTEGER) ? Number(text) : undefined,
  };
}

export function oneOf<T extends string>(values: readonly T[]): Rule<T> {
  return { allowed: values.join(", "), read: (text) => values.find((value) => value === text) };
}

export function matching(pattern: RegExp, allowed: string): Rule<string> {
  return { allowed, read: (text) => (pattern.test(text) ? text : undefined) };
}

/** An option whose value a rule reads. An invalid value is an error with the option, the value and what is allowed. */
export function option<T>(flags: string, description: string, rule: Rule<T>): Option {
  const made = new Option(flags, description);
  return made.argParser((text) => readValue(String(made.long), text, rule));
}

export function stackOption(description: string): Option {
  return new Option("-s, --stack <name>", description);
}

export function clientOption(): Option {
  return new Option("--client <name>", "use this client's key instead of the first client's");
}

/** @throws UsageError */
export function readValue<T>(name: string, text: string, rule: Rule<T>): T {
  const value = rule.read(text);
  if (value === undefined) {
    throw new UsageError(`${name} is ${JSON.stringify(text)}; allowed: ${rule.allowed}`);
  }
  return value;
}

/** Runs a command, or the one that `argv` names, and reports errors. @returns the exit status */
export async function run(program: Command, argv: readonly string[], context: Context): Promise<number> {
  for (const command of [program, ...program.commands]) {
    command.exitOverride().configureOutput({
      writeOut: (text) => context.out(text),
      writeErr: (text) => context.err(text),
      outputError: () => undefined,
    });
  }
  try {
    await program.parseAsync(argv, { from: "user" });
    return context.status;
  } catch (error) {
    return report(error as Error, scriptOf(program, argv), context);
  }
}

/** Runs a part of a command. An error is printed as a JSON document too, for a caller that requested JSON. */
export async function withJsonError(
  context: Context,
  json: boolean | undefined,
  part: () => Promise<void>,
): Promise<void> {
  try {
    await part();
  } catch (error) {
    if (json) {
      context.out(`${JSON.stringify({ ok: false, error: describeError(error) })}\n`);
    }
    throw error;
  }
}

/** Runs the process's own command. */
export async function runProcess(program: Command, context: Context): Promise<void> {
  // The reader of stdout may end first, as `head` does.
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    process.exit(error.code === "EPIPE" ? 0 : 1);
  });
  process.exitCode = await run(program, process.argv.slice(2), context);
}

function report(error: Error, script: string, context: Context): number {
  const byCommander = error instanceof CommanderError;
  if (byCommander && error.code.startsWith("commander.help")) {
    // Help on request is success; help in place of a missing command is not.
    return error.exitCode === 0 ? 0 : 2;
  }
  const message = byCommander
    ? error.message.replace(/^error: /, "").replaceAll("\n", " ")
    : describeError(error);
  context.err(`${script}: ${message}\n`);
  return byCommander || error instanceof UsageError ? 2 : 1;
}

function scriptOf(program: Command, argv: readonly string[]): string {
  const running = program.commands.find((command) => command.name() === argv[0]) ?? program;
  return running instanceof ScriptCommand ? running.script : running.name();
}
