import { resolve } from "node:path";
import { parseFlags, type Streams, UsageError } from "../lib/commandLine";
import { Redactor, readKey } from "../lib/secrets";
import { awsAccess, clientSecretArn, openStack, stateDirectory } from "../lib/stack";
import { formatLines, replaceFile, writeEnvFile } from "./file";

const USAGE = `usage: npm run -s env -- --stack STACK [--client NAME] [--write [FILE]]

Prints what a client needs to use the endpoint, as lines of a .env file. The key is among them.

  --stack STACK    the stack whose endpoint it is
  --client NAME    this client's key instead of the first one's
  --write [FILE]   set the lines in FILE, .env without a name, mode 600, and print none
`;

interface Options {
  stack: string;
  client?: string;
  /** The file to write. */
  file?: string;
}

/** @returns the exit status */
export async function main(argv: string[], env: NodeJS.ProcessEnv, streams: Streams): Promise<number> {
  try {
    if (argv.includes("--help") || argv.includes("-h")) {
      streams.stdout.write(USAGE);
      return 0;
    }
    const options = parseOptions(argv);
    const variables = await clientVariables(options, env);
    if (options.file === undefined) {
      streams.stdout.write(formatLines(variables));
    } else {
      writeEnvFile(resolve(options.file), variables);
      streams.stderr.write(`${options.file} has ${Object.keys(variables).join(", ")} (mode 600)\n`);
    }
    return 0;
  } catch (error) {
    const usage = error instanceof UsageError;
    const text = `env: ${(error as Error).message}\n${usage ? "See --help.\n" : ""}`;
    streams.stderr.write(new Redactor().redact(text));
    return usage ? 2 : 1;
  }
}

async function clientVariables(options: Options, env: NodeJS.ProcessEnv): Promise<Record<string, string>> {
  const stack = await openStack(options.stack, env);
  const { endpoint, model, caCertificate } = stack.outputs;
  const key = await readKey(clientSecretArn(stack, options.client), awsAccess(stack));
  const variables = {
    EMBEDDING_API_BASE: endpoint,
    EMBEDDING_API_KEY: key,
    EMBEDDING_MODEL: model,
  };
  if (caCertificate === "") {
    // Everybody trusts the authority of a domain's certificate already.
    return variables;
  }
  const caFile = resolve(stateDirectory(stack.name, env), "ca.pem");
  replaceFile(caFile, caCertificate, 0o644);
  return { ...variables, EMBEDDING_CA_FILE: caFile };
}

/** @throws UsageError */
function parseOptions(argv: string[]): Options {
  const { values, positionals } = parseFlags({
    args: argv.flatMap((flag) => (flag.startsWith("--write=") ? ["--write", flag.slice(8)] : [flag])),
    allowPositionals: true,
    options: {
      stack: { type: "string", short: "s" },
      client: { type: "string" },
      write: { type: "boolean" },
    },
  });
  if (values.stack === undefined) {
    throw new UsageError("say which stack, with --stack NAME");
  }
  const [file = ".env", ...rest] = positionals;
  if (rest.length > 0 || (!values.write && positionals.length > 0)) {
    throw new UsageError(`${positionals.at(-1)} is one argument too many`);
  }
  return { stack: values.stack, client: values.client, file: values.write ? file : undefined };
}
