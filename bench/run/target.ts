import { UsageError } from "../../scripts/lib/commandLine";
import { readKey } from "../../scripts/lib/secrets";
import { awsAccess, clientSecretArn, openStack } from "../../scripts/lib/stack";
import { type Endpoint, readCa } from "../lib/sender";
import type { RunOptions } from "./command";

const MODEL = "Qwen3-Embedding-4B";

/** The endpoints that the options select: one or two. @throws UsageError */
export async function findEndpoints(options: RunOptions, env: NodeJS.ProcessEnv): Promise<Endpoint[]> {
  const first = options.stack
    ? await ofStack(options.stack, options.client, options.model, env)
    : {
        name: nameOf(options.url!),
        url: options.url!,
        model: options.model ?? MODEL,
        key: env.EMBEDDING_API_KEY,
        ca: readCaOf("EMBEDDING_CA_FILE", env),
      };
  if (options.compare === undefined) {
    return [first];
  }
  const second = {
    name: nameOf(options.compare),
    url: options.compare,
    model: options.compareModel ?? first.model,
    key: env.COMPARE_API_KEY,
    ca: readCaOf("COMPARE_CA_FILE", env),
  };
  return [first, second];
}

async function ofStack(
  name: string,
  client: string | undefined,
  model: string | undefined,
  env: NodeJS.ProcessEnv,
): Promise<Endpoint> {
  const stack = await openStack(name, env);
  const { endpoint, caCertificate } = stack.outputs;
  const key = await readKey(clientSecretArn(stack, client), awsAccess(stack));
  return { name, url: endpoint, model: model ?? stack.outputs.model, key, ca: caCertificate };
}

function nameOf(url: string): string {
  return new URL(url).host;
}

function readCaOf(variable: string, env: NodeJS.ProcessEnv): string | undefined {
  const file = env[variable];
  try {
    return readCa(file);
  } catch (error) {
    throw new UsageError(
      `${variable} is ${JSON.stringify(file)}, which can't be read: ${(error as Error).message}`,
    );
  }
}
