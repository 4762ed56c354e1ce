import { parseFlags, type Streams, UsageError } from "../lib/commandLine";
import { Redactor, readKey } from "../lib/secrets";
import { openStack } from "../lib/stack";
import { formatJson, formatTable, summarize } from "./report";
import { describeError, type Row } from "./row";
import { type RunOptions, verify } from "./run";
import { type Target, targetFromEnv, targetFromStack } from "./target";

const USAGE = `usage: npm run verify -- --stack STACK [--client NAME] [--json] [--timeout SECONDS] [--skip-machine]
       tsx scripts/verify.ts --from-env [--json] [--timeout SECONDS] [--skip-machine]

Checks a deployed endpoint and its machine, a row for each promise.

  --stack STACK      the stack whose outputs say what to check
  --client NAME      check with this client's key instead of the first one's
  --from-env         take what to check from VERIFY_ENDPOINT, VERIFY_CA_CERTIFICATE, VERIFY_SECRET_ARN,
                     VERIFY_REGION, VERIFY_MODEL, VERIFY_DIMENSIONS, VERIFY_INSTANCE_ID (of a fleet
                     VERIFY_AUTO_SCALING_GROUP), VERIFY_PUBLISHED_WEIGHTS and, if set, VERIFY_TIMEOUT_SECONDS
  --json             one JSON document on stdout
  --timeout SECONDS  how long to wait for readiness, 2700 without it
  --skip-machine     do not search the machine for keys

Exit: 0 every row holds, 1 one does not, 2 wrong usage.
`;

interface Options {
  stack?: string;
  client?: string;
  fromEnv: boolean;
  json: boolean;
  help: boolean;
  timeoutSeconds?: number;
  skipMachine: boolean;
}

/** @returns the exit status */
export async function main(
  argv: string[],
  env: NodeJS.ProcessEnv,
  streams: Streams,
  tuning: Partial<RunOptions> = {},
): Promise<number> {
  const redactor = new Redactor();
  const out = (text: string) => streams.stdout.write(redactor.redact(text));
  const err = (text: string) => streams.stderr.write(redactor.redact(text));
  let json = false;
  try {
    const options = parseOptions(argv);
    json = options.json;
    if (options.help) {
      out(USAGE);
      return 0;
    }
    const target = await findTarget(options, env);
    const rows = await check(target, redactor, {
      skipMachine: options.skipMachine,
      progress: (line) => err(`${line}\n`),
      ...tuning,
    });
    const { endpoint, model } = target;
    out(json ? formatJson(rows, { endpoint, model }) : formatTable(rows));
    return summarize(rows).ok ? 0 : 1;
  } catch (error) {
    const usage = error instanceof UsageError;
    err(`verify: ${describeError(error)}\n${usage ? "See --help.\n" : ""}`);
    if (json) {
      out(`${JSON.stringify({ ok: false, error: describeError(error) })}\n`);
    }
    return usage ? 2 : 1;
  }
}

async function check(target: Target, redactor: Redactor, options: RunOptions): Promise<Row[]> {
  let key: string;
  try {
    key = await readKey(target.secretArn, target.aws);
  } catch (error) {
    // Before the wait, which may be long and would end in nothing.
    return [
      {
        name: "the key can be read",
        ok: false,
        evidence: describeError(error),
        next: "mend that, then verify again",
      },
    ];
  }
  redactor.add(key);
  return verify(target, key, options);
}

async function findTarget(options: Options, env: NodeJS.ProcessEnv): Promise<Target> {
  const target = options.fromEnv
    ? targetFromEnv(env)
    : targetFromStack(await openStack(options.stack as string, env), options.client);
  return { ...target, timeoutSeconds: options.timeoutSeconds ?? target.timeoutSeconds };
}

/** @throws UsageError on wrong usage */
function parseOptions(argv: string[]): Options {
  const { values } = parseFlags({
    args: argv,
    options: {
      stack: { type: "string", short: "s" },
      client: { type: "string" },
      "from-env": { type: "boolean" },
      json: { type: "boolean" },
      timeout: { type: "string" },
      "skip-machine": { type: "boolean" },
      help: { type: "boolean", short: "h" },
    },
  });
  const help = values.help ?? false;
  const fromEnv = values["from-env"] ?? false;
  if (!help && fromEnv === (values.stack !== undefined)) {
    throw new UsageError("say which stack, with --stack NAME, or --from-env");
  }
  if (fromEnv && values.client !== undefined) {
    throw new UsageError("--client is for --stack: with --from-env VERIFY_SECRET_ARN names the key");
  }
  if (values.timeout !== undefined && !/^[1-9]\d*$/.test(values.timeout)) {
    throw new UsageError(`--timeout is ${JSON.stringify(values.timeout)}: a whole number of seconds above 0`);
  }
  return {
    help,
    fromEnv,
    stack: values.stack,
    client: values.client,
    json: values.json ?? false,
    skipMachine: values["skip-machine"] ?? false,
    timeoutSeconds: values.timeout === undefined ? undefined : Number(values.timeout),
  };
}
