import { Account } from "../doctor/account";
import { type Context, withJsonError } from "../lib/commandLine";
import { awsAccess, openStack, type Stack } from "../lib/stack";
import { openEngine } from "../rotate/engine";
import type { ImageOptions } from "./command";
import { ageDays, day, problemsOf, type Release, type Survey, survey } from "./releases";
import { roll } from "./roll";

/** Shows a stack's image, checks its age, or moves to AWS's latest one. */
export function showOrRoll(options: ImageOptions, context: Context): Promise<void> {
  return withJsonError(context, options.json, () => run(options, context));
}

async function run(options: ImageOptions, context: Context): Promise<void> {
  const stack = await openStack(options.stack, context.env);
  const found = await read(stack);
  const problems = options.check ? problemsOf(found, options.maxAge) : [];
  context.out(options.json ? json(stack, found, problems) : text(stack, found));
  if (options.roll) {
    const say = (line: string) => context.out(`${line}\n`);
    const open = () => openEngine(options.stack, (printed) => context.out(printed));
    context.status = (await roll(stack, found, open, say, options.yes ?? false)) ? 0 : 1;
  } else if (problems.length > 0) {
    context.err(`image: ${problems.join("; ")}. ${next(stack)}\n`);
    context.status = 1;
  }
}

async function read(stack: Stack): Promise<Survey> {
  const { imageId } = stack.outputs;
  if (imageId === undefined) {
    throw new Error(
      `stack ${stack.name} has no output imageId, because an earlier version deployed it: run npx pulumi up -s ${stack.name}`,
    );
  }
  const account = new Account(awsAccess(stack));
  try {
    return await survey(account, imageId);
  } finally {
    account.close();
  }
}

/** How to get a newer image. */
function next({ name, outputs }: Stack): string {
  return outputs.imageUrn === undefined
    ? `The setting imageId selects it: npx pulumi config set imageId AMI -s ${name}, then npx pulumi up -s ${name}`
    : `To move to AWS's latest image: npm run image -- --stack ${name} --roll`;
}

function text(stack: Stack, found: Survey): string {
  const { id, current, latest, newer } = found;
  const kept = stack.outputs.imageUrn === undefined ? "selected by the setting imageId" : "kept by the stack";
  const lines = [
    current ? `Image of stack ${stack.name}, ${kept}: ${line(current)}` : `AWS no longer has ${id}, ${kept}.`,
    latest.id === id ? "It is AWS's latest." : `AWS's latest: ${line(latest)}`,
    ...(newer.length > 1 ? [`Releases since: ${newer.length} (listed with --json)`] : []),
    ...(latest.id === id ? [] : [next(stack)]),
  ];
  return `${lines.join("\n")}\n`;
}

function line(release: Release): string {
  const { id, name, created, deprecated } = release;
  const end = deprecated ? `, deprecated from ${day(deprecated)}` : "";
  return `${id}, ${day(created)}, ${ageDays(release)} days old${end} (${name})`;
}

function json(stack: Stack, { id, current, latest, newer }: Survey, problems: string[]): string {
  const about = (release: Release) => ({ ...release, ageDays: ageDays(release) });
  const document = {
    stack: stack.name,
    region: stack.outputs.region,
    ok: problems.length === 0,
    problems,
    imageId: id,
    image: current ? about(current) : null,
    selectedBy: stack.outputs.imageUrn === undefined ? "imageId" : "stack",
    latest: about(latest),
    newer: newer.map(about),
  };
  return `${JSON.stringify(document, null, 2)}\n`;
}
