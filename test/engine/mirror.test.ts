import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { CreateBucketCommand, GetObjectCommand, ListObjectsV2Command, S3Client } from "@aws-sdk/client-s3";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { ADMINISTRATOR } from "../../local/aws/administrator";
import { type Emulator, emulatorPython, startEmulator } from "../../local/aws/emulator";
import { ROOT } from "../../scripts/lib/paths";
import { mirrorCommand } from "../../scripts/mirror/command";
import { parseLock, wheelFiles } from "../../scripts/mirror/packages";
import { Store } from "../../scripts/mirror/store";
import { freePort } from "../freePort";
import { runCommand } from "../unit/fakes/environment";

const COMMIT = "0123456789abcdef0123456789abcdef01234567";
const BUCKET = "mirror";
const sha256 = (content: string | Buffer) => createHash("sha256").update(content).digest("hex");

const state = mkdtempSync(join(tmpdir(), "qwen3-mirror-test-"));
let emulator: Emulator;
let web: Server;
let origin: string;
/** What the fake hub and index serve, by path. */
let served: Record<string, string | Buffer>;
let asked: string[];
let env: NodeJS.ProcessEnv;
let s3: S3Client;

beforeAll(async () => {
  emulator = await startEmulator({
    stateDir: state,
    host: "127.0.0.1",
    port: await freePort(),
    ami: "ami-0123456789abcdef0",
  });
  env = {
    PATH: process.env.PATH,
    AWS_ENDPOINT_URL: emulator.url,
    AWS_REGION: "us-east-1",
    AWS_ACCESS_KEY_ID: ADMINISTRATOR.accessKeyId,
    AWS_SECRET_ACCESS_KEY: ADMINISTRATOR.secretAccessKey,
  };
  s3 = new S3Client({
    endpoint: emulator.url,
    region: "us-east-1",
    forcePathStyle: true,
    credentials: ADMINISTRATOR,
  });
  await s3.send(new CreateBucketCommand({ Bucket: BUCKET }));
  web = createServer((request, reply) => {
    asked.push(request.url!);
    const body = served[request.url!];
    reply.writeHead(body === undefined ? 404 : 200).end(body);
  });
  await new Promise<void>((done) => web.listen(0, "127.0.0.1", done));
  origin = `http://127.0.0.1:${(web.address() as AddressInfo).port}`;
});

beforeEach(() => {
  asked = [];
});

afterAll(async () => {
  web.closeAllConnections();
  web.close();
  s3.destroy();
  await emulator?.stop();
  rmSync(state, { recursive: true, force: true });
});

async function text(key: string): Promise<string> {
  const { Body } = await s3.send(new GetObjectCommand({ Bucket: BUCKET, Key: key }));
  return Body!.transformToString();
}

async function keys(prefix: string): Promise<string[]> {
  const { Contents = [] } = await s3.send(new ListObjectsV2Command({ Bucket: BUCKET, Prefix: prefix }));
  return Contents.map(({ Key }) => Key!.slice(prefix.length)).sort();
}

const run = (...argv: string[]) => runCommand(mirrorCommand, argv, env);

/** Runs one of the instance's own programs here, against the emulator. */
async function onMachine(module: string, args: string[], variables: Record<string, string>): Promise<string> {
  const { stdout } = await promisify(execFile)(await emulatorPython(), ["-m", module, ...args], {
    env: {
      ...(env as Record<string, string>),
      PYTHONPATH: join(ROOT, "machine"),
      PYTHONDONTWRITEBYTECODE: "1",
      ...variables,
    },
  });
  return stdout;
}

describe("the model", () => {
  const weights = Buffer.alloc(6 * 1024 * 1024, 7);
  const config = '{"model_type":"qwen3"}\n';
  const blob = (content: string) =>
    createHash("sha1")
      .update(`blob ${Buffer.byteLength(content)}\0`)
      .update(content)
      .digest("hex");
  const siblings = [
    { rfilename: "config.json", blobId: blob(config) },
    { rfilename: "model.safetensors", blobId: "x", lfs: { sha256: sha256(weights) } },
    { rfilename: "1_Pooling/config.json", blobId: blob(config) },
  ];
  const target = ["--to", `s3://${BUCKET}/qwen3`, "--only", "model", "--model", `hf://Qwen/Test@${COMMIT}`];

  beforeEach(() => {
    served = {
      [`/api/models/Qwen/Test/revision/${COMMIT}?blobs=true`]: JSON.stringify({ siblings }),
      [`/Qwen/Test/resolve/${COMMIT}/config.json`]: config,
      [`/Qwen/Test/resolve/${COMMIT}/1_Pooling/config.json`]: config,
      [`/Qwen/Test/resolve/${COMMIT}/model.safetensors`]: weights,
    };
  });

  it("is mirrored with its digests, and the instance downloads it from there", async () => {
    const { status, stdout } = await run(...target, "--hub", origin);
    expect(status).toBe(0);
    const sums = await text("qwen3/model/SHA256SUMS");
    expect(sums).toBe(
      `${sha256(config)}  1_Pooling/config.json\n${sha256(config)}  config.json\n${sha256(weights)}  model.safetensors\n`,
    );
    expect(stdout).toBe(
      `qwen3-embedding-stack:modelSource: s3://${BUCKET}/qwen3/model\nqwen3-embedding-stack:modelSha256: ${sha256(sums)}\n`,
    );
    const folder = join(state, "model");
    const said = await onMachine("qwen3.model", [], {
      QWEN3_MODEL_PATH: folder,
      QWEN3_MODEL_SOURCE: `s3://${BUCKET}/qwen3/model`,
      QWEN3_MODEL_SHA256: sha256(sums),
    });
    expect(said).toMatch(/complete: every file matches its digest/);
    expect(readFileSync(join(folder, "model.safetensors")).equals(weights)).toBe(true);
  });

  it("is not downloaded again if it exists", async () => {
    await run(...target, "--hub", origin);
    asked = [];
    expect((await run(...target, "--hub", origin)).status).toBe(0);
    expect(asked.filter((path) => path.endsWith("safetensors"))).toEqual([]);
  });

  it.each([
    ["a large file", "model.safetensors"],
    ["a small file", "config.json"],
  ])("is rejected if %s does not match its digest", async (_, name) => {
    served[`/Qwen/Test/resolve/${COMMIT}/${name}`] = "something else";
    const { status, stderr } = await run(
      ...["--to", `s3://${BUCKET}/bad-${name}`, "--only", "model", "--model", `hf://Qwen/Test@${COMMIT}`],
      ...["--hub", origin],
    );
    expect(status).toBe(1);
    expect(stderr).toMatch(new RegExp(`${name}: does not match its digest`));
    expect(await keys(`bad-${name}/`)).not.toContain("model/SHA256SUMS");
  });

  it("names what the Hub does not have", async () => {
    served = {};
    const { status, stderr } = await run(...target, "--hub", origin);
    expect(status).toBe(1);
    expect(stderr).toMatch(/returned 404: check the model's name and the commit/);
  });
});

describe("packages", () => {
  const folder = join(state, "wheels");

  beforeAll(async () => {
    mkdirSync(folder);
    // A wheel as pip expects it: a module, its metadata and a record.
    writeFileSync(
      join(state, "wheel.py"),
      `import sys, zipfile
with zipfile.ZipFile(sys.argv[1], "w") as wheel:
    wheel.writestr("qwen3_tiny.py", "answer = 42\\n")
    info = "qwen3_tiny-1.0.dist-info/"
    wheel.writestr(info + "METADATA", "Metadata-Version: 2.1\\nName: qwen3-tiny\\nVersion: 1.0\\n")
    wheel.writestr(info + "WHEEL", "Wheel-Version: 1.0\\nGenerator: test\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
    wheel.writestr(info + "RECORD", "")
`,
    );
    await promisify(execFile)("python3", [
      join(state, "wheel.py"),
      join(folder, "qwen3_tiny-1.0-py3-none-any.whl"),
    ]);
  });

  it("are mirrored by the hashes of a lock, and pip installs them from the mirror without an index", async () => {
    const wheel = readFileSync(join(folder, "qwen3_tiny-1.0-py3-none-any.whl"));
    const lock = `# a comment\nQwen3.Tiny==1.0 ; python_full_version >= '3.11' \\\n    --hash=sha256:${sha256(wheel)}\n`;
    served = {
      "/simple/qwen3-tiny/": JSON.stringify({
        files: [
          {
            filename: "qwen3_tiny-0.9-py3-none-any.whl",
            url: "../../files/old.whl",
            hashes: { sha256: "0" },
          },
          {
            filename: "qwen3_tiny-1.0-py3-none-any.whl",
            url: "../../files/tiny.whl",
            hashes: { sha256: sha256(wheel) },
          },
        ],
      }),
      "/files/tiny.whl": wheel,
    };
    const files = await wheelFiles(`${origin}/simple`, parseLock(lock));
    expect(files.map(({ url }) => url)).toEqual([`${origin}/files/tiny.whl`]);
    const store = new Store({ bucket: BUCKET, region: "us-east-1", env, tell: () => undefined });
    await store.putAll("packages", files);
    await store.putText("packages/0123456789abcdef.complete", "complete\n");
    store.close();

    const fetched = join(state, "fetched");
    await onMachine("qwen3.wheels", [fetched], { QWEN3_PACKAGE_MIRROR: `s3://${BUCKET}/packages` });
    expect(readdirSync(fetched)).toEqual(["qwen3_tiny-1.0-py3-none-any.whl"]);
    const path = join(state, "lock.txt");
    writeFileSync(path, lock);
    const pip = ["-m", "pip", "install", "--quiet", "--no-index", "--find-links", fetched];
    await promisify(execFile)(await emulatorPython(), [
      ...[...pip, "--require-hashes", "--target", join(state, "site"), "-r", path],
    ]);
    expect(existsSync(join(state, "site", "qwen3_tiny.py"))).toBe(true);
  });

  it("are rejected if the index does not have one", async () => {
    served = { "/simple/qwen3-tiny/": JSON.stringify({ files: [] }) };
    const lock = `qwen3-tiny==1.0 --hash=sha256:${"1".repeat(64)}\n`;
    await expect(wheelFiles(`${origin}/simple`, parseLock(lock))).rejects.toThrow(
      /has no file of qwen3-tiny 1.0 with SHA-256 1{64}/,
    );
  });

  it("are read from every line of the instance's own locks", () => {
    const own = readFileSync(join(ROOT, "machine/requirements.lock"), "utf8");
    const requirements = parseLock(own);
    expect(requirements.map(({ name }) => name)).toContain("sglang");
    expect(requirements.flatMap(({ hashes }) => hashes)).toHaveLength(own.match(/--hash=/g)!.length);
    expect(() => parseLock("sglang>=0.5\n")).toThrow(/not NAME==VERSION with hashes: sglang>=0.5/);
  });
});
