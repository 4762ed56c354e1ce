import { createInterface } from "node:readline/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { SETTINGS } from "../../components/settings/table";
import { parseFlags, UsageError } from "../lib/commandLine";
import { Redactor } from "../lib/secrets";
import { awsAccess, clientApiKeyUrn, clientSecretArn, openStack, type Stack } from "../lib/stack";
import { EndpointClient } from "../verify/client";
import { type Engine, openEngine } from "./engine";
import { describe, judgePending, requireRotationAlone } from "./plan";
import { SecretVersions } from "./versions";

const USAGE = `usage: npm run rotate -- --stack STACK [--client NAME] [--yes] [--revoke-now | --revoke-previous]

Replaces a client's API key: the new one works within seconds, the old one until the setting keyGraceSeconds has passed.
Nothing restarts. Neither key is printed.

  --stack STACK      the stack whose key it is
  --client NAME      this client's key instead of the first one's
  --yes              do not ask
  --revoke-now       refuse the old key at once, whatever keyGraceSeconds is: for a key that others have
  --revoke-previous  no new key: refuse the one before the current key now, instead of at the end of its grace

Exit: 0 done, 1 not, 2 wrong usage.
`;

/** How long machines may take to follow Secrets Manager; they poll every five seconds. */
const FOLLOWED_WITHIN_SECONDS = 30;

/** Of a fleet, one machine answers each request: so long none may answer otherwise, a poll and a second. */
const FLEET_AGREES_SECONDS = 6;

interface Options {
  stack: string;
  client?: string;
  yes: boolean;
  revoke: "later" | "now" | "previous";
}

/** One client's key: where it is kept, and where it is used. */
interface Subject {
  stack: Stack;
  client: string;
  versions: SecretVersions;
  graceSeconds: number;
}

/** @returns the exit status: 0 done, 1 not, 2 wrong usage */
export async function main(argv: string[]): Promise<number> {
  try {
    if (argv.includes("--help") || argv.includes("-h")) {
      console.log(USAGE);
      return 0;
    }
    const options = parseOptions(argv);
    const subject = await findSubject(options);
    const done = await (options.revoke === "previous"
      ? revokePrevious(subject, options)
      : rotate(subject, options));
    return done ? 0 : 1;
  } catch (error) {
    const usage = error instanceof UsageError;
    console.error(
      new Redactor().redact(`rotate: ${(error as Error).message}${usage ? "\nSee --help." : ""}`),
    );
    return usage ? 2 : 1;
  }
}

function parseOptions(argv: string[]): Options {
  const { values } = parseFlags({
    args: argv,
    options: {
      stack: { type: "string" },
      client: { type: "string" },
      yes: { type: "boolean", default: false },
      "revoke-now": { type: "boolean", default: false },
      "revoke-previous": { type: "boolean", default: false },
    },
  });
  if (!values.stack) {
    throw new UsageError("--stack is not set: name the stack whose key to rotate");
  }
  if (values["revoke-now"] && values["revoke-previous"]) {
    throw new UsageError(
      "--revoke-now makes a new key and --revoke-previous makes none: give one of the two",
    );
  }
  const revoke = values["revoke-now"] ? "now" : values["revoke-previous"] ? "previous" : "later";
  return { stack: values.stack, client: values.client, yes: values.yes, revoke };
}

async function findSubject({ stack: name, client }: Options): Promise<Subject> {
  const stack = await openStack(name);
  const secretArn = clientSecretArn(stack, client);
  const [first] = Object.entries(stack.outputs.secretArns).find(([, arn]) => arn === secretArn) ?? [];
  return {
    stack,
    client: client ?? first ?? "the first client",
    versions: new SecretVersions(secretArn, awsAccess(stack)),
    graceSeconds: Number(stack.setting("keyGraceSeconds") ?? SETTINGS.keyGraceSeconds.default),
  };
}

async function rotate(subject: Subject, { stack: name, client, yes, revoke }: Options): Promise<boolean> {
  // The exact URN: the engine does nothing, and says nothing, for one that does not exist.
  const urn = clientApiKeyUrn(subject.stack, client);
  const engine = await openEngine(name);
  console.log("Looking for other pending changes …");
  const readiness = judgePending(await engine.plan(), urn, name);
  if (readiness === "ready") {
    const plan = await engine.plan(urn);
    requireRotationAlone(plan, urn);
    console.log(`The rotation:\n${describe(plan)}`);
  } else {
    console.log("A rotation of this key was interrupted. It is brought to its end; no further key is made.");
  }
  if (readiness === "ready") {
    await showEffect(subject, revoke);
  }
  if (!yes && !(await confirm(`Rotate the key of ${subject.client} in stack ${name}?`))) {
    return false;
  }
  await update(engine, readiness === "ready" ? urn : undefined, subject, revoke);
  // Before anything else is waited for: a key that others have is not to work a second longer.
  const revoked = revoke === "now" ? await dropPrevious(subject) : undefined;
  await untilAnswered(subject, await subject.versions.value("AWSCURRENT"), 200, "the new key is current");
  console.log("The new key is accepted.");
  if (revoke === "now") {
    await sayRefused(subject, "The old key", revoked);
  } else {
    const end = await previousKeyEnd(subject);
    console.log(end ? `The old key works until ${end.toISOString()}.` : "The old key is refused.");
  }
  console.log(
    `Give the new one to its client: npm run -s env -- --stack ${name}${client ? ` --client ${client}` : ""}`,
  );
  return true;
}

async function revokePrevious(subject: Subject, { yes }: Options): Promise<boolean> {
  const end = await previousKeyEnd(subject);
  if (!end) {
    console.log(`There is no earlier key of ${subject.client} that still works. Nothing was changed.`);
    return true;
  }
  console.log(`The previous key of ${subject.client} would work until ${end.toISOString()}.`);
  if (!yes && !(await confirm("Refuse it now? The current key stays as it is."))) {
    return false;
  }
  await sayRefused(subject, "The previous key", await dropPrevious(subject));
  return true;
}

/** What becomes of the current key, and of one before it that is still in its grace. */
async function showEffect(subject: Subject, revoke: Options["revoke"]): Promise<void> {
  const end = await previousKeyEnd(subject);
  if (end) {
    console.log(
      `The key before the current one, which would work until ${end.toISOString()}, is refused at once: of earlier keys ` +
        "one alone is honoured.",
    );
  }
  const atOnce = revoke === "now" || subject.graceSeconds === 0;
  console.log(
    atOnce
      ? "The current key is refused at once: whoever uses it fails until they have the new one."
      : `The current key works for ${subject.graceSeconds} s more (setting keyGraceSeconds).`,
  );
}

async function confirm(question: string): Promise<boolean> {
  const terminal = createInterface({ input: process.stdin, output: process.stdout });
  try {
    const yes = /^y(es)?$/i.test(await terminal.question(`${question} [y/N] `));
    if (!yes) {
      console.log("Nothing was changed.");
    }
    return yes;
  } finally {
    terminal.close();
  }
}

/** Runs the update. What it left when it fails is what the operator has to know first. */
async function update(
  engine: Engine,
  urn: string | undefined,
  subject: Subject,
  revoke: Options["revoke"],
): Promise<void> {
  const { versions, stack } = subject;
  const before = (await versions.labelled()).AWSCURRENT?.id;
  try {
    await engine.update(urn);
  } catch (error) {
    const after = (await versions.labelled().catch(() => undefined))?.AWSCURRENT?.id;
    const rotated = after !== undefined && after !== before;
    if (rotated && revoke === "now") {
      await dropPrevious(subject);
    }
    const state =
      after === undefined
        ? "Secrets Manager could not be asked which key is current"
        : !rotated
          ? "the old key is still current, and works"
          : revoke === "now"
            ? "the new key is current, and the old one is revoked"
            : "the new key is current, and the old one is in its grace";
    throw new Error(
      `the update did not come to its end: ${state}. Mend what it says, then run the same command again: it ` +
        `finishes this rotation and makes no further key. \`npm run verify -- --stack ${stack.name}\` checks the ` +
        `endpoint.\n${(error as Error).message}`,
    );
  }
}

/** Revokes the previous key and answers it, for a look at how it is refused; undefined where there is none. */
async function dropPrevious({ versions }: Subject): Promise<string | undefined> {
  const { AWSPREVIOUS: previous } = await versions.labelled();
  if (!previous) {
    return undefined;
  }
  const key = await versions.value("AWSPREVIOUS");
  await versions.dropPrevious(previous);
  return key;
}

/** Waits until the endpoint refuses a revoked key, and says so. */
async function sayRefused(subject: Subject, name: string, key: string | undefined): Promise<void> {
  if (key === undefined) {
    console.log(`${name} was revoked before.`);
    return;
  }
  const seconds = await untilAnswered(subject, key, 401, `${name.toLowerCase()} has lost its label`);
  console.log(`${name} is refused, ${seconds} s after it was revoked.`);
}

/** Seconds until the endpoint answered a key with a status: of a fleet, every answer for longer than machines poll. */
async function untilAnswered(
  { stack }: Subject,
  key: string,
  status: number,
  known: string,
): Promise<number> {
  const endpoint = new EndpointClient(stack.outputs.endpoint, stack.outputs.caCertificate, key);
  const settled = stack.outputs.autoScalingGroup === undefined ? 0 : FLEET_AGREES_SECONDS * 1000;
  const begin = Date.now();
  const elapsed = () => Math.round((Date.now() - begin) / 1000);
  let since: number | undefined;
  try {
    for (;;) {
      const reply = await endpoint
        .send({ method: "GET", path: "/v1/models", authorization: "key" })
        .catch(() => undefined);
      since = reply?.status === status ? (since ?? Date.now()) : undefined;
      if (since !== undefined && Date.now() - since >= settled) {
        return Math.round((since - begin) / 1000);
      }
      if (elapsed() > FOLLOWED_WITHIN_SECONDS) {
        throw new Error(
          `${known}, but the endpoint answers ${reply?.status ?? "nothing"} to it after ${FOLLOWED_WITHIN_SECONDS} s ` +
            `instead of ${status}; see \`journalctl -u qwen3-keys\` on the machine, and docs/guides/key-rotation.md`,
        );
      }
      await sleep(500);
    }
  } finally {
    await endpoint.close();
  }
}

/** When the previous key ends; undefined when there is none or it has ended. */
async function previousKeyEnd({ versions, graceSeconds }: Subject): Promise<Date | undefined> {
  const { AWSPREVIOUS: previous, AWSCURRENT: current } = await versions.labelled();
  if (!previous || !current) {
    return undefined;
  }
  const end = new Date(current.created.getTime() + graceSeconds * 1000);
  return end.getTime() > Date.now() ? end : undefined;
}
