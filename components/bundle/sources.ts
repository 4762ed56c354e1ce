import * as s3 from "@pulumi/aws/s3";
import * as pulumi from "@pulumi/pulumi";
import { lockId } from "./bundle";

/**
 * Refuses weights in S3 that the deployer cannot read, before anything is created: the instance would find out a quarter
 * of an hour later. Weights on Hugging Face are public and are not checked here.
 *
 * @throws pulumi.RunError when the prefix has no readable SHA256SUMS.
 */
export async function requireReadable(modelSource: string): Promise<void> {
  const match = /^s3:\/\/([^/]+)\/(.+?)\/?$/.exec(modelSource);
  if (!match) {
    return;
  }
  const [, bucket, prefix] = match as unknown as [string, string, string];
  const key = `${prefix}/SHA256SUMS`;
  await s3.getObject({ bucket, key }).catch((error: Error) => {
    throw new pulumi.RunError(
      `modelSource is "${modelSource}", whose ${key} cannot be read; allowed: a prefix with the weights and a file ` +
        `SHA256SUMS over them (\`sha256sum * > SHA256SUMS\`). Nothing was changed. AWS said: ${error.message}`,
    );
  });
}

/**
 * Refuses a mirror of packages that the deployer cannot read, or that was filled for other locks than these.
 *
 * @throws pulumi.RunError when the prefix does not say that it has all that these locks name.
 */
export async function requireMirrored(packageMirror: string | undefined): Promise<void> {
  const match = /^s3:\/\/([^/]+)\/(.+?)\/?$/.exec(packageMirror ?? "");
  if (!match) {
    return;
  }
  const [, bucket, prefix] = match as unknown as [string, string, string];
  const key = `${prefix}/${lockId()}.complete`;
  await s3.getObject({ bucket, key }).catch((error: Error) => {
    throw new pulumi.RunError(
      `packageMirror is "${packageMirror}", whose ${key} cannot be read; allowed: a prefix that \`npm run mirror\` has filled for ` +
        `this version of the stack. Nothing was changed. AWS said: ${error.message}`,
    );
  });
}
