/** A price and its source. Every figure that `npm run cost` prints is one of these or computed from them. */
export interface Price {
  /** US dollars, before tax. */
  usd: number;
  source: string;
  /** When the source was read, and the age that it states, if any. */
  read: string;
}

/** Number of hours in a month in AWS's calculations. */
export const HOURS_A_MONTH = 730;

const SKYPILOT = {
  source:
    "https://github.com/skypilot-org/skypilot-catalog/blob/00148f2af3672e2229b4f7bf8157d5a3f36e3c35/catalogs/v8/aws/vms.csv",
  read: "2026-11-25, from AWS's price list by SkyPilot's catalog",
};
const DATA_RECEIPTS = {
  source:
    "https://raw.githubusercontent.com/datareceipts/data-receipts/main/109-gpu-pricing/hyperscalers.json",
  read: "2026-11-25, retrieved by its author on 2026-11-09",
};

/** US dollars per hour on demand for Linux in us-east-1. A type that is not listed has no price that was read. */
export const INSTANCE_HOUR: Readonly<Record<string, Price>> = {
  "p4d.24xlarge": { usd: 21.957642, ...DATA_RECEIPTS },
  "p4de.24xlarge": { usd: 27.44705, ...DATA_RECEIPTS },
  "p5.48xlarge": { usd: 55.04, ...DATA_RECEIPTS },
  "g6e.xlarge": { usd: 1.861, ...SKYPILOT },
  "g6e.8xlarge": { usd: 4.52856, ...SKYPILOT },
  "g6.4xlarge": { usd: 1.3232, ...SKYPILOT },
  "g6.8xlarge": { usd: 2.0144, ...SKYPILOT },
  "g5.xlarge": {
    usd: 1.006,
    source: "https://www.factualminds.com/blog/amazon-ec2-on-demand-pricing-instance-families-2026/",
    read: "2026-11-25, of 2026-06-17",
  },
};

const AWS_TOOLKIT = "https://github.com/aws/agent-toolkit-for-aws/blob/main/";
const SECRETS_MANAGER = {
  source: "https://hivebook.wiki/wiki/aws-secrets-manager-rotated-secrets-dynamic-db-credentials-kms",
  read: "2026-11-25, undated",
};
const S3 = {
  source: "https://devnotes.tech/understanding-aws-s3-pricing-a-complete-cost-breakdown-with-examples",
  read: "2026-11-25, undated",
};

/** Prices in us-east-1. */
export const SERVICES = {
  gp3GibMonth: {
    usd: 0.08,
    source: `${AWS_TOOLKIT}skills/core-skills/aws-billing-and-cost-management/references/ebs-optimization.md`,
    read: "2026-11-25, of early 2026",
  },
  publicIpv4Hour: {
    usd: 0.005,
    source: `${AWS_TOOLKIT}skills/core-skills/aws-billing-and-cost-management/references/cost-audit.md`,
    read: "2026-11-25, of 2026-08-20",
  },
  secretMonth: { usd: 0.4, ...SECRETS_MANAGER },
  secretsManagerCall: { usd: 0.05 / 10_000, ...SECRETS_MANAGER },
  s3Get: { usd: 0.0004 / 1_000, ...S3 },
} as const satisfies Record<string, Price>;

/** Prices of hosted services for a million tokens, each with its own model. */
export const HOSTED: readonly (Price & { name: string })[] = [
  {
    name: "Qwen3-Embedding-4B at DeepInfra",
    usd: 0.02,
    source: "https://vercel.com/ai-gateway/models/qwen3-embedding-4b",
    read: "2026-11-25, undated",
  },
  {
    name: "OpenAI text-embedding-3-small",
    usd: 0.02,
    source: "https://developers.openai.com/api/docs/models/text-embedding-3-large",
    read: "2026-11-25, undated",
  },
  {
    name: "Qwen text-embedding-v4",
    usd: 0.07,
    source: "https://docs.qwencloud.com/api-reference/text-embedding/openai-embedding",
    read: "2026-11-25, undated",
  },
  {
    name: "OpenAI text-embedding-3-large",
    usd: 0.13,
    source: "https://developers.openai.com/api/docs/models/text-embedding-3-large",
    read: "2026-11-25, undated",
  },
  {
    name: "Gemini gemini-embedding-001",
    usd: 0.15,
    source: "https://opencode.ai/data/google/gemini-embedding-001.md",
    read: "2026-11-25, undated",
  },
  {
    name: "Voyage voyage-3-large",
    usd: 0.18,
    source: "https://vercel.com/ai-gateway/models/voyage-3-large.md",
    read: "2026-11-25, undated",
  },
];

/**
 * Assumed tokens per second per GPU: half of what the arithmetic of the model (about 8 GFLOP per token) allows at an
 * A100's peak of 312 TFLOP/s. Measured only on an H100, in docs/evidence/performance.md.
 */
export const ASSUMED_TOKENS_PER_SECOND = 20_000;
