import { createHash, type Hash } from "node:crypto";
import { createReadStream, createWriteStream, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { HeadObjectCommand, PutObjectCommand, S3Client } from "@aws-sdk/client-s3";
import { Upload } from "@aws-sdk/lib-storage";
import { awsClientConfig } from "../lib/aws";

/** A file to mirror, and its digest. */
export interface RemoteFile {
  /** Path below the prefix. */
  name: string;
  url: string;
  /** Hexadecimal SHA-256, or git's SHA-1 of the blob for a small file of a repository. */
  digest: { sha256: string } | { gitBlob: string };
}

interface StoreOptions {
  bucket: string;
  region: string;
  env: NodeJS.ProcessEnv;
  tell(line: string): void;
}

const PARALLEL = 4;
const ATTEMPTS = 3;
const IN_MEMORY_BYTES = 1 << 20;
/** Metadata of an uploaded object that contains its SHA-256. */
const SHA256 = "sha256";

/** Uploads verified files to a bucket. */
export class Store {
  readonly #client: S3Client;
  readonly #folder = mkdtempSync(join(tmpdir(), "qwen3-mirror-"));

  constructor(private readonly options: StoreOptions) {
    const { region, env } = options;
    this.#client = new S3Client({
      ...awsClientConfig({ region, env }),
      ...(env.AWS_ENDPOINT_URL && { forcePathStyle: true }),
    });
  }

  /** @returns SHA-256 by name */
  async putAll(prefix: string, files: RemoteFile[]): Promise<Map<string, string>> {
    const digests = new Map<string, string>();
    const waiting = [...files];
    const worker = async () => {
      for (let file = waiting.shift(); file; file = waiting.shift()) {
        digests.set(file.name, await this.#put(`${prefix}/${file.name}`, file));
        this.options.tell(`${digests.size} of ${files.length}  ${file.name}`);
      }
    };
    await Promise.all(Array.from({ length: PARALLEL }, worker));
    return digests;
  }

  /** @returns SHA-256 of the text */
  async putText(key: string, text: string): Promise<string> {
    await this.#client.send(new PutObjectCommand({ Bucket: this.options.bucket, Key: key, Body: text }));
    return createHash("sha256").update(text).digest("hex");
  }

  close(): void {
    this.#client.destroy();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  /** @returns SHA-256 */
  async #put(key: string, file: RemoteFile): Promise<string> {
    if ("sha256" in file.digest && (await this.#digestOf(key)) === file.digest.sha256) {
      return file.digest.sha256;
    }
    const path = join(this.#folder, createHash("sha256").update(key).digest("hex"));
    try {
      const sha256 = await download(file, path);
      await new Upload({
        client: this.#client,
        params: {
          Bucket: this.options.bucket,
          Key: key,
          // A small file is sent as a buffer: the client warns about streams of unknown length.
          Body: statSync(path).size <= IN_MEMORY_BYTES ? readFileSync(path) : createReadStream(path),
          Metadata: { [SHA256]: sha256 },
        },
      }).done();
      return sha256;
    } finally {
      rmSync(path, { force: true });
    }
  }

  /** The digest of an object that an earlier run uploaded. */
  async #digestOf(key: string): Promise<string | undefined> {
    try {
      const head = new HeadObjectCommand({ Bucket: this.options.bucket, Key: key });
      return (await this.#client.send(head)).Metadata?.[SHA256];
    } catch (error) {
      if ((error as Error).name === "NotFound") {
        return undefined;
      }
      throw new Error(
        `s3://${this.options.bucket}/${key} can't be read: ${(error as Error).message || error}`,
      );
    }
  }
}

/** @returns SHA-256 of the downloaded file. @throws Error if no attempt matched the digest */
async function download(file: RemoteFile, path: string): Promise<string> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await downloadOnce(file, path);
    } catch (error) {
      if (attempt === ATTEMPTS) {
        throw new Error(`${file.url}: ${(error as Error).message}`);
      }
    }
  }
}

async function downloadOnce(file: RemoteFile, path: string): Promise<string> {
  const reply = await fetch(file.url);
  if (!reply.ok || !reply.body) {
    throw new Error(`returned ${reply.status}`);
  }
  const sha256 = createHash("sha256");
  const chunks: Buffer[] = [];
  const hashesBlob = "gitBlob" in file.digest;
  await pipeline(
    Readable.fromWeb(reply.body as Parameters<typeof Readable.fromWeb>[0]),
    async function* (source: AsyncIterable<Buffer>) {
      for await (const chunk of source) {
        sha256.update(chunk);
        if (hashesBlob) {
          chunks.push(chunk);
        }
        yield chunk;
      }
    },
    createWriteStream(path),
  );
  return verified(file, sha256, Buffer.concat(chunks));
}

function verified({ digest }: RemoteFile, sha256: Hash, content: Buffer): string {
  const actual = sha256.digest("hex");
  const same =
    "sha256" in digest
      ? digest.sha256 === actual
      : digest.gitBlob ===
        createHash("sha1").update(`blob ${content.length}\0`).update(content).digest("hex");
  if (!same) {
    throw new Error(`does not match its digest, ${JSON.stringify(digest)}`);
  }
  return actual;
}
