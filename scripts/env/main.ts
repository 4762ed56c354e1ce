import { join, resolve } from "node:path";
import type { Context } from "../lib/commandLine";
import { stateFolder } from "../lib/paths";
import { readKey } from "../lib/secrets";
import { awsAccess, clientSecretArn, openStack } from "../lib/stack";
import type { EnvOptions } from "./command";
import { formatLines, replaceFile, writeEnvFile } from "./file";

/** Prints a client's variables, or sets them in a file. */
export async function giveVariables(options: EnvOptions, context: Context): Promise<void> {
  const variables = await clientVariables(options, context.env);
  if (options.write === undefined) {
    context.outWithKey(formatLines(variables));
  } else {
    writeEnvFile(resolve(options.write), variables);
    context.err(`${options.write} has ${Object.keys(variables).join(", ")} (mode 600)\n`);
  }
}

async function clientVariables(options: EnvOptions, env: NodeJS.ProcessEnv): Promise<Record<string, string>> {
  const stack = await openStack(options.stack, env);
  const { endpoint, model, caCertificate } = stack.outputs;
  const key = await readKey(clientSecretArn(stack, options.client), awsAccess(stack));
  const variables = {
    EMBEDDING_API_BASE: endpoint,
    EMBEDDING_API_KEY: key,
    EMBEDDING_MODEL: model,
  };
  if (caCertificate === "") {
    // A domain's certificate is public, so clients trust it already.
    return variables;
  }
  const caFile = resolve(join(stateFolder(stack.name, env), "ca.pem"));
  replaceFile(caFile, caCertificate, 0o644);
  return { ...variables, EMBEDDING_CA_FILE: caFile };
}
