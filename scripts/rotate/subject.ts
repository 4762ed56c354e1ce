import { SETTINGS } from "../../components/settings/table";
import type { Context } from "../lib/commandLine";
import { awsAccess, clientSecretArn, openStack, type Stack } from "../lib/stack";
import type { RotateOptions } from "./command";
import { SecretVersions } from "./versions";

/** One client's key: where it is stored, and where it is used. */
export interface Subject {
  stack: Stack;
  client: string;
  versions: SecretVersions;
  graceSeconds: number;
}

export async function findSubject(
  { stack: name, client }: RotateOptions,
  context: Context,
): Promise<Subject> {
  const stack = await openStack(name, context.env);
  const secretArn = clientSecretArn(stack, client);
  const [first] = Object.entries(stack.outputs.secretArns).find(([, arn]) => arn === secretArn) ?? [];
  return {
    stack,
    client: client ?? first ?? "the first client",
    versions: new SecretVersions(secretArn, awsAccess(stack), (key) => context.hide(key)),
    graceSeconds: Number(stack.setting("keyGraceSeconds") ?? SETTINGS.keyGraceSeconds.default),
  };
}

/** When the previous key expires. Undefined if there is none or it has expired. */
export async function previousKeyEnd({ versions, graceSeconds }: Subject): Promise<Date | undefined> {
  const { AWSPREVIOUS: previous, AWSCURRENT: current } = await versions.labelled();
  if (!previous || !current) {
    return undefined;
  }
  const end = new Date(current.created.getTime() + graceSeconds * 1000);
  return end.getTime() > Date.now() ? end : undefined;
}

/** Revokes the previous key and returns it, to check that it is refused. Returns undefined if there is none. */
export async function dropPrevious({ versions }: Subject): Promise<string | undefined> {
  const { AWSPREVIOUS: previous } = await versions.labelled();
  if (!previous) {
    return undefined;
  }
  const key = await versions.value("AWSPREVIOUS");
  await versions.dropPrevious(previous);
  return key;
}
