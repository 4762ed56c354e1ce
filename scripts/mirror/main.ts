import { DEFAULT_MODEL_SOURCE } from "../../components/bundle/instanceConfig";
import { parseFlags, type Streams, UsageError } from "../lib/commandLine";
import { modelFiles } from "./hub";
import { lockId, readLocks, wheelFiles } from "./packages";
import { Store } from "./store";

const USAGE = `usage: npm run mirror -- --to s3://BUCKET/PREFIX [--only model|packages] [--region REGION]

Fills a prefix in S3 with what a machine without internet needs, and prints the settings that take it from there:
PREFIX/model     the model's files at the pinned commit, with SHA256SUMS
PREFIX/packages  every wheel that the machine's locks name
Each file is verified by its digest before it is uploaded; one that is there already is left as it is. It needs
s3:ListBucket, s3:GetObject and s3:PutObject on the prefix, and room on this disk for the largest file, 5 GB.

  --to s3://…       where to
  --only WHAT       model or packages alone
  --region REGION   the bucket's region; AWS_REGION without it
  --model hf://…    another source than the stack's default, OWNER/NAME@COMMIT
  --hub URL         another Hugging Face
  --index URL       another package index, whose simple API speaks JSON (PEP 691)
`;

interface Options {
  bucket: string;
  prefix: string;
  only?: string;
  region: string;
  model: { repository: string; commit: string };
  hub: string;
  index: string;
}

/** @returns the exit status: 0 mirrored, 1 not, 2 wrong usage */
export async function main(argv: string[], env: NodeJS.ProcessEnv, streams: Streams): Promise<number> {
  if (argv.includes("--help") || argv.includes("-h")) {
    streams.stdout.write(USAGE);
    return 0;
  }
  try {
    const settings = await mirror(parseOptions(argv, env), env, (line) => streams.stderr.write(`${line}\n`));
    streams.stderr.write("\nThe settings that take it from there:\n");
    streams.stdout.write(
      Object.entries(settings)
        .map(([name, value]) => `qwen3-embedding-stack:${name}: ${value}\n`)
        .join(""),
    );
    return 0;
  } catch (error) {
    const usage = error instanceof UsageError;
    streams.stderr.write(`mirror: ${(error as Error).message}\n${usage ? "See --help.\n" : ""}`);
    return usage ? 2 : 1;
  }
}

async function mirror(
  { bucket, prefix, only, region, model, hub, index }: Options,
  env: NodeJS.ProcessEnv,
  tell: (line: string) => void,
): Promise<Record<string, string>> {
  const store = new Store({ bucket, region, env, tell });
  const settings: Record<string, string> = {};
  try {
    if (only !== "packages") {
      const files = await modelFiles(hub, model.repository, model.commit);
      const digests = await store.putAll(`${prefix}/model`, files);
      const sums = [...digests].sort().map(([name, sha256]) => `${sha256}  ${name}\n`);
      settings.modelSource = `s3://${bucket}/${prefix}/model`;
      settings.modelSha256 = await store.putText(`${prefix}/model/SHA256SUMS`, sums.join(""));
    }
    if (only !== "model") {
      await store.putAll(`${prefix}/packages`, await wheelFiles(index, readLocks()));
      // Last: it says that everything of these locks is there.
      await store.putText(`${prefix}/packages/${lockId()}.complete`, "everything of these locks is here\n");
      settings.packageMirror = `s3://${bucket}/${prefix}/packages`;
    }
    return settings;
  } finally {
    store.close();
  }
}

/** @throws UsageError */
function parseOptions(argv: string[], env: NodeJS.ProcessEnv): Options {
  const { values } = parseFlags({
    args: argv,
    options: {
      to: { type: "string" },
      only: { type: "string" },
      region: { type: "string" },
      model: { type: "string", default: DEFAULT_MODEL_SOURCE },
      hub: { type: "string", default: "https://huggingface.co" },
      index: { type: "string", default: "https://pypi.org/simple" },
    },
  });
  const to = /^s3:\/\/([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])\/([\w./-]+?)\/*$/.exec(values.to ?? "");
  if (!to) {
    throw new UsageError(`--to is ${JSON.stringify(values.to)}: s3://BUCKET/PREFIX`);
  }
  const model = /^hf:\/\/([\w.-]+\/[\w.-]+)@([0-9a-f]{40})$/.exec(values.model);
  if (!model) {
    throw new UsageError(
      `--model is ${JSON.stringify(values.model)}: hf://OWNER/NAME@COMMIT, 40 hexadecimal digits`,
    );
  }
  if (values.only !== undefined && !["model", "packages"].includes(values.only)) {
    throw new UsageError(`--only is ${JSON.stringify(values.only)}: model or packages`);
  }
  const region = values.region ?? env.AWS_REGION;
  if (!region) {
    throw new UsageError("--region is not set, nor is AWS_REGION: the region of the bucket");
  }
  return {
    bucket: to[1]!,
    prefix: to[2]!,
    only: values.only,
    region,
    model: { repository: model[1]!, commit: model[2]! },
    hub: values.hub.replace(/\/+$/, ""),
    index: values.index.replace(/\/+$/, ""),
  };
}
