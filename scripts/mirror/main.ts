import { type Context, UsageError } from "../lib/commandLine";
import { projectName } from "../lib/project";
import type { MirrorOptions } from "./command";
import { modelFiles } from "./hub";
import { lockId, readLocks, wheelFiles } from "./packages";
import { Store } from "./store";

/** Fills the prefix, and prints the settings of this project that use it. @throws UsageError */
export async function mirror(options: MirrorOptions, context: Context): Promise<void> {
  const region = options.region ?? context.env.AWS_REGION;
  if (!region) {
    throw new UsageError("--region is not set, nor is AWS_REGION: set the region of the bucket");
  }
  const { bucket } = options.to;
  const store = new Store({ bucket, region, env: context.env, tell: (line) => context.err(`${line}\n`) });
  try {
    const settings = {
      ...(options.only !== "packages" && (await mirrorModel(store, options))),
      ...(options.only !== "model" && (await mirrorPackages(store, options))),
    };
    context.err("\nSettings to use it:\n");
    const project = projectName();
    const lines = Object.entries(settings).map(([name, value]) => `${project}:${name}: ${value}\n`);
    context.out(lines.join(""));
  } finally {
    store.close();
  }
}

async function mirrorModel(
  store: Store,
  { to: { bucket, prefix }, hub, model }: MirrorOptions,
): Promise<{ modelSource: string; modelSha256: string }> {
  const files = await modelFiles(hub, model.repository, model.commit);
  const digests = await store.putAll(`${prefix}/model`, files);
  const sums = [...digests].sort().map(([name, sha256]) => `${sha256}  ${name}\n`);
  return {
    modelSource: `s3://${bucket}/${prefix}/model`,
    modelSha256: await store.putText(`${prefix}/model/SHA256SUMS`, sums.join("")),
  };
}

async function mirrorPackages(
  store: Store,
  { to: { bucket, prefix }, index }: MirrorOptions,
): Promise<{ packageMirror: string }> {
  await store.putAll(`${prefix}/packages`, await wheelFiles(index, readLocks()));
  // Last, because it marks the packages of these locks as complete.
  await store.putText(`${prefix}/packages/${lockId()}.complete`, "all packages of these locks are here\n");
  return { packageMirror: `s3://${bucket}/${prefix}/packages` };
}
