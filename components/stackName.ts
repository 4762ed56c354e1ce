import * as pulumi from "@pulumi/pulumi";

/**
 * The name of the stack's service, with which the names of all resources begin.
 *
 * @throws pulumi.RunError if the name is too long or has other characters. S3 has room for 20.
 */
export function stackName(stack: string): string {
  if (!/^[a-z][a-z0-9-]{0,19}$/.test(stack)) {
    throw new pulumi.RunError(
      `the stack's name is "${stack}"; allowed: up to 20 lower-case letters, digits and hyphens, beginning with a letter ` +
        "(`pulumi stack rename`). Nothing was changed.",
    );
  }
  return `qwen3-embedding-${stack}`;
}
