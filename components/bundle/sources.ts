import * as s3 from "@pulumi/aws/s3";
import * as pulumi from "@pulumi/pulumi";
import { parseS3Prefix } from "../settings/formats";
import { lockId } from "./bundle";

/**
 * Rejects weights in S3 that the deployer cannot read, before anything is created. Otherwise the instance would fail a
 * quarter of an hour later. Weights on Hugging Face are public and are not checked here.
 *
 * @throws pulumi.RunError if the prefix has no readable SHA256SUMS.
 */
export async function requireReadable(modelSource: string, opts: pulumi.InvokeOptions): Promise<void> {
  await requireObject(
    "modelSource",
    modelSource,
    "SHA256SUMS",
    "a prefix with the weights and a file SHA256SUMS of them (`sha256sum * > SHA256SUMS`)",
    opts,
  );
}

/**
 * Rejects a package mirror that the deployer cannot read, or that was filled for other lock files.
 *
 * @throws pulumi.RunError if the prefix does not have everything that the lock files name.
 */
export async function requireMirrored(
  packageMirror: string | undefined,
  opts: pulumi.InvokeOptions,
): Promise<void> {
  await requireObject(
    "packageMirror",
    packageMirror ?? "",
    `${lockId()}.complete`,
    "a prefix that `npm run mirror` has filled for this version of the stack",
    opts,
  );
}

async function requireObject(
  setting: string,
  source: string,
  name: string,
  allowed: string,
  opts: pulumi.InvokeOptions,
): Promise<void> {
  const location = parseS3Prefix(source);
  if (!location) {
    return;
  }
  const { bucket, prefix } = location;
  const key = `${prefix}/${name}`;
  await s3.getObject({ bucket, key }, opts).catch((error: Error) => {
    throw new pulumi.RunError(
      `${setting} is "${source}", whose ${key} cannot be read; allowed: ${allowed}. Nothing was changed. The provider returned: ${error.message}`,
    );
  });
}
