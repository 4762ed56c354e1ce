import { createInterface } from "node:readline/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { ListSecretVersionIdsCommand, SecretsManagerClient } from "@aws-sdk/client-secrets-manager";
import type { OpMap } from "@pulumi/pulumi/automation";
import { awsClientConfig } from "../lib/aws";
import { parseFlags, UsageError } from "../lib/commandLine";
import { Redactor, readKey } from "../lib/secrets";
import { awsAccess, clientApiKeyUrn, clientSecretArn, openStack, type Stack } from "../lib/stack";
import { EndpointClient } from "../verify/client";
import { type Engine, openEngine } from "./engine";

const USAGE = `usage: npm run rotate -- --stack STACK [--client NAME] [--yes]

Replaces a client's API key: the new one works within seconds, the old one until the setting keyGraceSeconds has passed.
Nothing restarts. Neither key is printed.

  --stack STACK    the stack whose key it is
  --client NAME    this client's key instead of the first one's
  --yes            do not ask
`;

/** How long the machine may take to honour a new key; it polls every five seconds. */
const ACCEPTED_WITHIN_SECONDS = 30;

interface Options {
  stack: string;
  client?: string;
  yes: boolean;
}

/** @returns the exit status: 0 rotated, 1 not, 2 wrong usage */
export async function main(argv: string[]): Promise<number> {
  try {
    if (argv.includes("--help") || argv.includes("-h")) {
      console.log(USAGE);
      return 0;
    }
    return (await rotate(parseOptions(argv))) ? 0 : 1;
  } catch (error) {
    const usage = error instanceof UsageError;
    console.error(
      new Redactor().redact(`rotate: ${(error as Error).message}${usage ? "\nSee --help." : ""}`),
    );
    return usage ? 2 : 1;
  }
}

async function rotate({ stack: name, client, yes }: Options): Promise<boolean> {
  const stack = await openStack(name);
  // The exact URN: the engine does nothing, and says nothing, for one that does not exist.
  const urn = clientApiKeyUrn(stack, client);
  const engine = await openEngine(name);
  await refusePendingChanges(engine, name);
  await showEffect(stack, client);
  if (!yes && !(await confirm(`Rotate the key of ${client ?? "the first client"} in stack ${name}?`))) {
    console.log("Nothing was changed.");
    return false;
  }
  await engine.replace(urn);
  const seconds = await untilAccepted(stack, client);
  const end = await previousKeyEnd(stack, client);
  console.log(
    `The new key was accepted ${seconds} s after the update. ${end ? `The old one works until ${end}.` : "The old one is refused."}`,
  );
  console.log(
    `Give it to its client: npm run -s env -- --stack ${name}${client ? ` --client ${client}` : ""}`,
  );
  return true;
}

function parseOptions(argv: string[]): Options {
  const { values } = parseFlags({
    args: argv,
    options: {
      stack: { type: "string" },
      client: { type: "string" },
      yes: { type: "boolean", default: false },
    },
  });
  if (!values.stack) {
    throw new UsageError("--stack is not set: name the stack whose key to rotate");
  }
  return { stack: values.stack, client: values.client, yes: values.yes };
}

/** `--replace` reconciles the whole stack: whatever else is pending would ride along with a rotation. */
async function refusePendingChanges(engine: Engine, name: string): Promise<void> {
  console.log("Looking for other pending changes …");
  const { changes, shown } = await engine.pending();
  if (changes.length > 0) {
    throw new Error(
      `stack ${name} has pending changes besides the key (${changes.map(count).join(", ")}); deploy or undo them first:\n${shown}`,
    );
  }
}

function count([operation, number]: [keyof OpMap, number]): string {
  return `${number} to ${operation}`;
}

/** What the rotation does to a key that is in its own grace already. */
async function showEffect(stack: Stack, client: string | undefined): Promise<void> {
  const end = await previousKeyEnd(stack, client);
  if (end) {
    console.log(`The key before the current one, which would work until ${end}, is refused at once.`);
  }
  const grace = graceSeconds(stack);
  console.log(`The current key works for ${grace} s more (setting keyGraceSeconds).`);
}

async function confirm(question: string): Promise<boolean> {
  const terminal = createInterface({ input: process.stdin, output: process.stdout });
  try {
    return /^y(es)?$/i.test(await terminal.question(`${question} [y/N] `));
  } finally {
    terminal.close();
  }
}

/** Seconds until the endpoint took the key that Secrets Manager has now. */
async function untilAccepted(stack: Stack, client: string | undefined): Promise<number> {
  const key = await readKey(clientSecretArn(stack, client), awsAccess(stack));
  const endpoint = new EndpointClient(stack.outputs.endpoint, stack.outputs.caCertificate, key);
  const begin = Date.now();
  const elapsed = () => Math.round((Date.now() - begin) / 1000);
  try {
    for (;;) {
      const reply = await endpoint
        .send({ method: "GET", path: "/v1/models", authorization: "key" })
        .catch(() => undefined);
      if (reply?.status === 200) {
        return elapsed();
      }
      if (elapsed() > ACCEPTED_WITHIN_SECONDS) {
        throw new Error(
          `the new key is current, but the endpoint answers ${reply?.status ?? "nothing"} to it after ${ACCEPTED_WITHIN_SECONDS} s; ` +
            "see `journalctl -u qwen3-keys` on the machine. The old key still works within its grace",
        );
      }
      await sleep(500);
    }
  } finally {
    await endpoint.close();
  }
}

/** When the previous key ends, for people; undefined when there is none or it has ended. */
async function previousKeyEnd(stack: Stack, client: string | undefined): Promise<string | undefined> {
  const secrets = new SecretsManagerClient(awsClientConfig(awsAccess(stack)));
  try {
    const { Versions = [] } = await secrets.send(
      new ListSecretVersionIdsCommand({ SecretId: clientSecretArn(stack, client) }),
    );
    const has = (stage: string) => Versions.find(({ VersionStages }) => VersionStages?.includes(stage));
    const current = has("AWSCURRENT")?.CreatedDate;
    if (!has("AWSPREVIOUS") || !current) {
      return undefined;
    }
    const end = new Date(current.getTime() + graceSeconds(stack) * 1000);
    return end.getTime() > Date.now() ? end.toISOString() : undefined;
  } finally {
    secrets.destroy();
  }
}

function graceSeconds(stack: Stack): number {
  return Number(stack.setting("keyGraceSeconds") ?? 3600);
}
