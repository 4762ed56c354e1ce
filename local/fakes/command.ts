import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import {
  hasUnknown,
  InputError,
  type OperationContext,
  type Props,
  type ProviderDefinition,
  type ResourceDefinition,
} from "./framework";

/** Fake of @pulumi/command 1.2.1: `local.Command`, without `assetPaths` and `archivePaths`. */

const STRINGS = ["create", "update", "delete", "dir", "stdin"] as const;
const LOGGING = ["stdout", "stderr", "stdoutAndStderr", "none"];

interface Previous {
  stdout?: unknown;
  stderr?: unknown;
}

/** Runs a command as the real provider does. As there, an error contains the output, whatever `logging` is. */
async function execute(
  command: string,
  inputs: Props,
  previous: Previous,
  context: OperationContext,
): Promise<{ stdout: string; stderr: string }> {
  const interpreter =
    Array.isArray(inputs.interpreter) && inputs.interpreter.length > 0 ? inputs.interpreter : undefined;
  const [program = "/bin/sh", ...args] = [...(interpreter ?? ["/bin/sh", "-c"]), command].map(String);
  const before: Record<string, string> = {};
  if (inputs.addPreviousOutputInEnv !== false) {
    if (previous.stdout) {
      before.PULUMI_COMMAND_STDOUT = String(previous.stdout);
    }
    if (previous.stderr) {
      before.PULUMI_COMMAND_STDERR = String(previous.stderr);
    }
  }
  const child = spawn(program, args, {
    cwd: typeof inputs.dir === "string" ? inputs.dir : process.cwd(),
    env: { ...process.env, ...(inputs.environment as Record<string, string> | undefined), ...before },
    stdio: ["pipe", "pipe", "pipe"],
    signal: context.signal,
    killSignal: "SIGKILL",
  });
  const logging = inputs.logging ?? "stdoutAndStderr";
  const both: Buffer[] = [];
  const stdout = capture(child.stdout, both, context, logging === "stdout" || logging === "stdoutAndStderr");
  const stderr = capture(child.stderr, both, context, logging === "stderr" || logging === "stdoutAndStderr");
  // A command may end without reading its standard input.
  child.stdin.on("error", () => undefined);
  child.stdin.end(typeof inputs.stdin === "string" ? inputs.stdin : "");
  const reason = await new Promise<string | undefined>((resolve) => {
    child.once("error", (error) => resolve(error.message));
    child.once("close", (code, signal) => {
      resolve(code === 0 ? undefined : code === null ? `signal: ${signal}` : `exit status ${code}`);
    });
  });
  if (reason !== undefined) {
    throw new Error(`${reason}: running ${JSON.stringify(command)}:\n${Buffer.concat(both).toString()}`);
  }
  return { stdout: trimmed(stdout), stderr: trimmed(stderr) };
}

function capture(stream: Readable, both: Buffer[], context: OperationContext, log: boolean): Buffer[] {
  const chunks: Buffer[] = [];
  stream.on("data", (chunk: Buffer) => {
    chunks.push(chunk);
    both.push(chunk);
  });
  if (log) {
    createInterface({ input: stream, crlfDelay: Number.POSITIVE_INFINITY }).on("line", (line) =>
      context.log(line),
    );
  }
  return chunks;
}

function trimmed(chunks: Buffer[]): string {
  return Buffer.concat(chunks).toString().replace(/\n$/, "");
}

function check(inputs: Props): Props {
  for (const property of STRINGS) {
    if (inputs[property] !== undefined && typeof inputs[property] !== "string") {
      throw new InputError(property, "must be a string");
    }
  }
  const { environment, logging } = inputs;
  if (!hasUnknown(logging) && logging !== undefined && !LOGGING.includes(String(logging))) {
    throw new InputError("logging", `must be one of ${LOGGING.join(", ")}, not ${JSON.stringify(logging)}`);
  }
  if (environment !== undefined && !hasUnknown(environment)) {
    for (const [name, value] of Object.entries(environment as Props)) {
      if (typeof value !== "string") {
        throw new InputError(`environment.${name}`, "must be a string");
      }
    }
  }
  return inputs;
}

const NOTHING = { stdout: "", stderr: "" };

const localCommand: ResourceDefinition = {
  inputs: [...STRINGS, "environment", "triggers", "interpreter", "logging", "addPreviousOutputInEnv"],
  replaceOn: ["triggers"],
  // As in the real provider: every output depends on every input.
  renewed: ["stdout", "stderr"],
  anySecretInput: true,
  check,
  create: async (inputs, context) => {
    const id = context.name + randomBytes(4).toString("hex");
    const { create } = inputs;
    return { id, outputs: typeof create === "string" ? await execute(create, inputs, {}, context) : NOTHING };
  },
  update: async (_id, olds, news, context) => {
    const previous = { stdout: olds.stdout, stderr: olds.stderr };
    const command = news.update ?? news.create;
    return typeof command === "string" ? execute(command, news, previous, context) : { ...previous };
  },
  delete: async (_id, olds, context) => {
    if (typeof olds.delete === "string") {
      await execute(olds.delete, olds, olds, context);
    }
  },
};

export const command: ProviderDefinition = {
  name: "command",
  version: "1.2.1",
  resources: { "command:local:Command": localCommand },
  invokes: {},
};
