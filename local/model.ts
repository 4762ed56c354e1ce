import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { CreateBucketCommand, PutObjectCommand, S3Client } from "@aws-sdk/client-s3";
import { CACHE } from "../scripts/lib/paths";
import { ADMINISTRATOR } from "./aws/administrator";
import { emulatorPython } from "./aws/emulator";
import { run } from "./process";

const BUCKET = "qwen3-local-models";
const PREFIX = "tiny-qwen3";
const generator = join(__dirname, "makeRandomModel.py");

/**
 * Uploads the tiny model to the emulator's S3, in the layout of a mirror of the weights.
 * Returns the SHA-256 of its SHA256SUMS.
 */
export async function publishModel(endpoint: string): Promise<string> {
  const folder = await makeModel();
  const s3 = new S3Client({
    endpoint,
    region: "us-east-1",
    forcePathStyle: true,
    credentials: ADMINISTRATOR,
  });
  await s3.send(new CreateBucketCommand({ Bucket: BUCKET }));
  for (const file of readdirSync(folder)) {
    await s3.send(
      new PutObjectCommand({
        Bucket: BUCKET,
        Key: `${PREFIX}/${file}`,
        Body: readFileSync(join(folder, file)),
      }),
    );
  }
  return createHash("sha256")
    .update(readFileSync(join(folder, "SHA256SUMS")))
    .digest("hex");
}

/** Makes random weights from a fixed seed, once for each version of the generator. */
async function makeModel(): Promise<string> {
  const id = createHash("sha256").update(readFileSync(generator)).digest("hex").slice(0, 16);
  const folder = join(CACHE, "models", id);
  if (!existsSync(folder)) {
    const partial = `${folder}.partial-${process.pid}`;
    mkdirSync(partial, { recursive: true });
    try {
      await run(await emulatorPython(), [generator, partial]);
      renameSync(partial, folder);
    } finally {
      rmSync(partial, { recursive: true, force: true });
    }
  }
  return folder;
}
