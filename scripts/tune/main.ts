import { setTimeout as sleep } from "node:timers/promises";
import { GetCommandInvocationCommand, SendCommandCommand, SSMClient } from "@aws-sdk/client-ssm";
import { awsClientConfig } from "../lib/aws";
import { parseFlags, type Streams, UsageError } from "../lib/commandLine";
import { Redactor } from "../lib/secrets";
import { awsAccess, openStack } from "../lib/stack";

const USAGE = `usage: npm run tune -- --stack STACK [--instance ID] [--seconds 10] [--candidates NAME,NAME] [--yes]

Finds out which of SGLang's arguments are fast on a machine of this stack, by measuring them there with real traffic:
starts its command qwen3-tune through Systems Manager, waits for it and prints what it found.

  --stack STACK       the stack whose machine measures
  --instance ID       the machine, where it is not the one that the stack's outputs name
  --seconds 10        for each kind of traffic, three times for each candidate
  --candidates NAMES  only these; qwen3-tune on the machine names those that there are when one is unknown
  --yes               worker 0 does not serve meanwhile; on a machine of one GPU nothing does. Without this, only that is said

Exit: 0 measured, 1 not, 2 wrong usage.
`;

const RUNNING = new Set(["Pending", "InProgress", "Delayed", "Cancelling"]);
/** Of the whole measurement: each candidate loads the weights and may compile kernels. */
const MOST_SECONDS = 4 * 3600;

interface Options {
  help: boolean;
  stack: string;
  instance?: string;
  seconds: string;
  candidates?: string;
  yes: boolean;
}

/** @returns the exit status */
export async function main(
  argv: string[],
  env: NodeJS.ProcessEnv,
  streams: Streams,
  { pollMs = 10_000 } = {},
): Promise<number> {
  const redactor = new Redactor();
  const out = (text: string) => streams.stdout.write(redactor.redact(text));
  const err = (text: string) => streams.stderr.write(redactor.redact(text));
  try {
    const options = parseOptions(argv);
    if (options.help) {
      out(USAGE);
      return 0;
    }
    if (!options.yes) {
      throw new UsageError(
        "while it measures, worker 0 does not serve: on a machine of one GPU, nothing does. Say --yes to go on",
      );
    }
    const stack = await openStack(options.stack, env);
    const instance = options.instance ?? stack.outputs.instanceId;
    if (instance === undefined) {
      throw new UsageError(
        `stack ${stack.name} is a fleet, ${stack.outputs.autoScalingGroup}: name the machine to measure on, with --instance`,
      );
    }
    const client = new SSMClient(awsClientConfig(awsAccess(stack)));
    try {
      const { status, stdout, stderr } = await runOn(client, instance, command(options), pollMs, (line) =>
        err(`${line}\n`),
      );
      out(stdout);
      if (status !== "Success") {
        err(`tune: qwen3-tune on ${instance} ended as ${status}: ${stderr.trim() || "no error output"}\n`);
        return 1;
      }
      return 0;
    } finally {
      client.destroy();
    }
  } catch (error) {
    const usage = error instanceof UsageError;
    err(`tune: ${(error as Error).message}\n${usage ? "See --help.\n" : ""}`);
    return usage ? 2 : 1;
  }
}

/** @throws UsageError */
function parseOptions(argv: string[]): Options {
  const { values } = parseFlags({
    args: argv,
    options: {
      help: { type: "boolean", short: "h" },
      stack: { type: "string", short: "s" },
      instance: { type: "string" },
      seconds: { type: "string", default: "10" },
      candidates: { type: "string" },
      yes: { type: "boolean" },
    },
  });
  const { help = false, stack, instance, seconds, candidates, yes = false } = values;
  if (!help && stack === undefined) {
    throw new UsageError("--stack is not set: name the stack whose machine measures");
  }
  // Both become part of a shell's line.
  if (!/^[1-9]\d{0,2}$/.test(seconds)) {
    throw new UsageError(`--seconds is ${JSON.stringify(seconds)}; allowed: a whole number from 1 to 999`);
  }
  if (candidates !== undefined && !/^[a-zA-Z0-9 .,]+$/.test(candidates)) {
    throw new UsageError(
      `--candidates is ${JSON.stringify(candidates)}; allowed: names of letters, digits, dots and spaces, with commas`,
    );
  }
  if (instance !== undefined && !/^i-[0-9a-f]+$/.test(instance)) {
    throw new UsageError(`--instance is ${JSON.stringify(instance)}; allowed: an instance's ID, i-…`);
  }
  return { help, stack: stack ?? "", instance, seconds, candidates, yes };
}

function command({ seconds, candidates }: Options): string {
  return `/usr/local/sbin/qwen3-tune --seconds ${seconds}${candidates === undefined ? "" : ` --candidates '${candidates}'`}`;
}

async function runOn(
  client: SSMClient,
  instance: string,
  line: string,
  pollMs: number,
  progress: (line: string) => void,
): Promise<{ status: string; stdout: string; stderr: string }> {
  const { Command } = await client.send(
    new SendCommandCommand({
      InstanceIds: [instance],
      DocumentName: "AWS-RunShellScript",
      Comment: "qwen3-embedding-stack: tune",
      Parameters: { commands: [line], executionTimeout: [String(MOST_SECONDS)] },
    }),
  );
  progress(`${line} on ${instance}`);
  const begin = Date.now();
  for (let said = 0; ; ) {
    const found = await client
      .send(new GetCommandInvocationCommand({ CommandId: Command?.CommandId, InstanceId: instance }))
      .catch((error: Error) => {
        // Right after it was sent, Systems Manager does not know it yet.
        if (error.name === "InvocationDoesNotExist") {
          return undefined;
        }
        throw error;
      });
    if (found && !RUNNING.has(found.Status ?? "Pending")) {
      return {
        status: found.Status ?? "",
        stdout: found.StandardOutputContent ?? "",
        stderr: found.StandardErrorContent ?? "",
      };
    }
    const minutes = Math.floor((Date.now() - begin) / 60_000);
    if (minutes > said) {
      said = minutes;
      progress(`  ${minutes} min`);
    }
    await sleep(pollMs);
  }
}
