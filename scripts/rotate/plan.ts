import type { Step } from "./engine";

/** Whether a rotation can begin, or an earlier one of the same key must be completed. */
export type Readiness = "ready" | "interrupted";

/**
 * Evaluates what an update would do if no key were rotated. `--replace` updates the whole stack, so a rotation would
 * deploy every other pending change as well.
 *
 * @param urn URN of the password; replacing it rotates the key
 * @throws Error that shows what is pending, and says what to do about it
 */
export function judgePending(steps: Step[], urn: string, stack: string): Readiness {
  if (steps.length === 0) {
    return "ready";
  }
  const ofKey = steps.filter((step) => step.urn === urn || step.urn === secretVersionUrn(urn));
  if (ofKey.some(({ properties }) => properties.includes("versionStages"))) {
    throw new Error(
      "the secret holds a value that this stack did not put there; instances accept it. " +
        `Run npx pulumi up -s ${stack}: it makes the declared key current again, and the other value works for keyGraceSeconds more. ` +
        "Then rotate. If the declared key is the one to revoke, `up` alone would make it valid again: run " +
        `npx pulumi up -s ${stack} --replace '${urn}' instead`,
    );
  }
  if (steps.some((step) => !belongsToRotation(step, urn))) {
    throw new Error(
      `stack ${stack} has pending changes other than the key; deploy or undo them first:\n${describe(steps)}`,
    );
  }
  // A verification that failed is pending too, and must not keep a leaked key from being replaced.
  return ofKey.length > 0 ? "interrupted" : "ready";
}

/** @throws Error unless the plan replaces the password, and changes only what depends on it */
export function requireRotationAlone(steps: Step[], urn: string): void {
  const others = steps.filter((step) => !belongsToRotation(step, urn));
  if (others.length > 0 || !steps.some((step) => step.urn === urn)) {
    throw new Error(`this is not a rotation of ${urn} alone:\n${describe(steps)}`);
  }
}

/** The version of the secret that stores the password: its sibling of the same name. */
function secretVersionUrn(passwordUrn: string): string {
  return passwordUrn.replace(
    "random:index/randomPassword:RandomPassword",
    "aws:secretsmanager/secretVersion:SecretVersion",
  );
}

function belongsToRotation({ urn }: Step, passwordUrn: string): boolean {
  // The verification runs again for a new key.
  return (
    urn === passwordUrn || urn === secretVersionUrn(passwordUrn) || /\$command:local:Command::/.test(urn)
  );
}

/** One line per resource: `replace  aws:ec2/instance:Instance  NAME  (userData)`, without the engine's partial steps. */
export function describe(steps: Step[]): string {
  return steps
    .filter(({ operation }) => !/^(create-replacement|delete-replaced)$/.test(operation))
    .map(({ urn, operation, properties }) => {
      const [, , type = "", ...name] = urn.split("::");
      const changed = properties.length > 0 ? `  (${properties.join(", ")})` : "";
      return `  ${operation.padEnd(8)}${type.split("$").at(-1)}  ${name.join("::")}${changed}`;
    })
    .join("\n");
}
