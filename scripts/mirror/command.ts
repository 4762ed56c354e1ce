import type { Command } from "commander";
import { DEFAULT_MODEL_SOURCE } from "../../components/bundle/model";
import { type Context, oneOf, option, type Rule, ScriptCommand } from "../lib/commandLine";

export interface MirrorOptions {
  to: { bucket: string; prefix: string };
  only?: "model" | "packages";
  region?: string;
  model: { repository: string; commit: string };
  hub: string;
  index: string;
}

const DESTINATION: Rule<MirrorOptions["to"]> = {
  allowed: "s3://BUCKET/PREFIX",
  read: (text) => {
    const [, bucket, prefix] = /^s3:\/\/([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])\/([\w./-]+?)\/*$/.exec(text) ?? [];
    return bucket && prefix ? { bucket, prefix } : undefined;
  },
};

const MODEL: Rule<MirrorOptions["model"]> = {
  allowed: "hf://OWNER/NAME@COMMIT, with a commit of 40 hexadecimal digits",
  read: (text) => {
    const [, repository, commit] = /^hf:\/\/([\w.-]+\/[\w.-]+)@([0-9a-f]{40})$/.exec(text) ?? [];
    return repository && commit ? { repository, commit } : undefined;
  },
};

const URL_BASE: Rule<string> = {
  allowed: "an http:// or https:// URL",
  read: (text) => (/^https?:\/\/./.test(text) ? text.replace(/\/+$/, "") : undefined),
};

const HELP = `
PREFIX/model     the model's files at the pinned commit, with SHA256SUMS
PREFIX/packages  every wheel that the instance's locks name

Each file is verified by its digest before it is uploaded. Files that already exist are not changed. The command
requires s3:ListBucket, s3:GetObject and s3:PutObject on the prefix, and disk space for the largest file, 5 GB.

Exit status: 0 mirrored, 1 not, 2 wrong usage.`;

/** `npm run mirror`. */
export function mirrorCommand(context: Context): Command {
  return new ScriptCommand("mirror")
    .description(
      "Fill a prefix in S3 with what an instance without internet access needs, and print the settings that use it.",
    )
    .addRequiredOption(option("--to <s3-url>", "the destination, s3://BUCKET/PREFIX", DESTINATION))
    .addOption(option("--only <what>", "mirror only the model or the packages", oneOf(["model", "packages"])))
    .option("--region <region>", "the bucket's region (default: AWS_REGION)")
    .addOption(
      option("--model <hf-url>", "source of the weights", MODEL).default(
        MODEL.read(DEFAULT_MODEL_SOURCE),
        DEFAULT_MODEL_SOURCE,
      ),
    )
    .addOption(
      option("--hub <url>", "base URL of the Hugging Face Hub", URL_BASE).default("https://huggingface.co"),
    )
    .addOption(
      option("--index <url>", "package index with the JSON simple API (PEP 691)", URL_BASE).default(
        "https://pypi.org/simple",
      ),
    )
    .addHelpText("after", HELP)
    .action(async (options: MirrorOptions) => {
      const { mirror } = await import("./main");
      await mirror(options, context);
    });
}
