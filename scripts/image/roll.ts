import { confirmed } from "../lib/confirm";
import type { Stack } from "../lib/stack";
import type { Engine, Step } from "../rotate/engine";
import { describe } from "../rotate/plan";
import type { Survey } from "./releases";

/**
 * Moves a stack to AWS's latest image. `--replace` updates the whole stack, so it requires that nothing else is pending.
 *
 * @param open opens the stack's engine
 * @returns false if the operator declined
 * @throws Error if the setting selects the image, other changes are pending, or the update fails
 */
export async function roll(
  { name, outputs }: Pick<Stack, "name" | "outputs">,
  { id, latest }: Survey,
  open: () => Promise<Engine>,
  say: (line: string) => void,
  yes: boolean,
): Promise<boolean> {
  const urn = outputs.imageUrn;
  if (urn === undefined) {
    throw new Error(
      `the setting imageId of stack ${name} is ${id}, and there is nothing to roll: set another image with ` +
        `npx pulumi config set imageId AMI -s ${name}, or remove the setting to take AWS's latest`,
    );
  }
  if (latest.id === id) {
    say("There is nothing to roll.");
    return true;
  }
  const engine = await open();
  say("Looking for other pending changes …");
  requireNone(await engine.plan(), name);
  const plan = await engine.plan(urn);
  // A wrong URN is an error of the engine; this is for one that it accepts and does not replace.
  if (!plan.some((step) => step.urn === urn)) {
    throw new Error(`the update would not replace ${urn}: the stack has changed; run the command again`);
  }
  say(`From ${id} to ${latest.id}, with another kernel and driver:\n${describe(plan)}`);
  if (!yes && !(await confirmed(`Move stack ${name} to ${latest.id}?`))) {
    say("Nothing was changed.");
    return false;
  }
  const back = `to return to ${id}: npx pulumi config set imageId ${id} -s ${name}, then npx pulumi up -s ${name}`;
  try {
    await engine.update(urn);
  } catch (error) {
    throw new Error(
      `the update did not complete. Fix what it reports and run npx pulumi up -s ${name}, which continues it, or, ` +
        `${back}.\n${(error as Error).message}`,
    );
  }
  say(`Stack ${name} runs ${latest.id}. If it does worse, ${back}.`);
  return true;
}

function requireNone(pending: Step[], stack: string): void {
  if (pending.length > 0) {
    throw new Error(
      `stack ${stack} has pending changes, which a roll would deploy as well; deploy or undo them first ` +
        `(npx pulumi up -s ${stack} also continues a roll that was interrupted):\n${describe(pending)}`,
    );
  }
}
