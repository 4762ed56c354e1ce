import { createHash } from "node:crypto";
import { LONGEST_ANSWER_SECONDS, PATHS, SERVED_MODEL } from "./contract";

export { LONGEST_ANSWER_SECONDS };

/** The model that this stack serves; https://huggingface.co/Qwen/Qwen3-Embedding-4B, Apache-2.0. */
export const MODEL = {
  ...SERVED_MODEL,
  revision: "5cf2132abc99cad020ac570b19d031efec650f2b",
  /** From config.json at that revision; `parameters` follows from it, with 151,665 rows of embeddings that are tied. */
  architecture: {
    parameters: 4_021_774_336,
    layers: 36,
    kvHeads: 8,
    headDim: 128,
    intermediate: 9728,
  },
} as const;

/** The default source of the weights. */
export const DEFAULT_MODEL_SOURCE = `hf://${MODEL.id}@${MODEL.revision}`;

/** A load balancer waits a little longer than nginx does for a worker, so that the error comes from nginx. */
export const LOAD_BALANCER_IDLE_SECONDS = LONGEST_ANSWER_SECONDS + 20;

/** The lifecycle hook that an instance of a fleet completes once it serves. */
export const READY_HOOK = "ready";

/** The metric that each instance of a fleet publishes once a minute: its GPUs' utilization in percent. */
export const METRICS_NAMESPACE = "qwen3-embedding";
export const UTILIZATION_METRIC = "Utilization";

/** What an instance knows of its fleet. */
export interface FleetMembership {
  autoScalingGroup: string;
  /** Whether the fleet grows and shrinks with the utilization of its GPUs. */
  publishesUtilization: boolean;
  /** IPv4 ranges of the load balancer's requests. */
  trustedProxies: string[];
}

export type Accelerator = "cuda" | "cpu";

/** What decides the contents of the bundle. */
export interface BundleConfig {
  accelerator: Accelerator;
  /** One worker for each GPU. */
  workers: number;
  /** Largest request body, in bytes. */
  maxBodyBytes: number;
  /** `hf://OWNER/NAME@REVISION` or `s3://BUCKET/PREFIX`. */
  modelSource: string;
  /** Only for an instance of a fleet. */
  fleet?: FleetMembership;
}

/** Everything that an instance is a function of. */
export interface InstanceConfig extends BundleConfig {
  region: string;
  /** Another endpoint for AWS's services, for instance a proxy or an emulator. */
  awsEndpointUrl?: string;
  /** Proxy for packages and model weights, as `http://HOST:PORT`. */
  httpsProxy?: string;
  /** `s3://BUCKET/PREFIX` with the wheels of the locks, instead of PyPI. */
  packageMirror?: string;
  /** SHA-256 of the file SHA256SUMS among the weights, for an S3 source. */
  modelSha256?: string;
  /** Tokens, the appended end-of-text token included. */
  contextLength: number;
  /** Share of GPU memory for weights and KV pool, 0 to 1. */
  memFractionStatic: number;
  /** Items in one request. */
  maxInputs: number;
  bucket: string;
  bundleKey: string;
  /** SHA-256 of the bundle, hexadecimal: the instance refuses any other. */
  bundleSha256: string;
  indexKey: string;
}

/** A name for the weights of one source; a changed source or digest is another folder. */
export function modelPath(config: Pick<InstanceConfig, "modelSource" | "modelSha256">): string {
  const id = createHash("sha256")
    .update(`${config.modelSource}\n${config.modelSha256 ?? ""}`)
    .digest("hex")
    .slice(0, 16);
  return `${PATHS.store}/models/${id}`;
}

/** The variables of {@link PATHS.environment}, in the order in which they are written. */
export function environment(config: InstanceConfig): Record<string, string> {
  return {
    AWS_REGION: config.region,
    AWS_DEFAULT_REGION: config.region,
    ...(config.awsEndpointUrl && { AWS_ENDPOINT_URL: config.awsEndpointUrl }),
    QWEN3_ACCELERATOR: config.accelerator,
    QWEN3_SERVED_MODEL: MODEL.servedName,
    QWEN3_MODEL_ID: MODEL.id,
    QWEN3_MODEL_SOURCE: config.modelSource,
    ...(config.modelSha256 && { QWEN3_MODEL_SHA256: config.modelSha256 }),
    QWEN3_MODEL_PATH: modelPath(config),
    ...(config.packageMirror && { QWEN3_PACKAGE_MIRROR: config.packageMirror }),
    QWEN3_DIMENSIONS: String(MODEL.dimensions),
    QWEN3_CONTEXT_LENGTH: String(config.contextLength),
    QWEN3_MEM_FRACTION_STATIC: String(config.memFractionStatic),
    QWEN3_MAX_INPUTS: String(config.maxInputs),
    QWEN3_MAX_BODY_BYTES: String(config.maxBodyBytes),
    QWEN3_BUCKET: config.bucket,
    QWEN3_INDEX_KEY: config.indexKey,
    ...(config.fleet && { QWEN3_AUTO_SCALING_GROUP: config.fleet.autoScalingGroup }),
  };
}

/** Lines of a systemd EnvironmentFile; values are quoted, which systemd and a shell read alike. */
export function environmentFile(variables: Record<string, string>): string {
  return Object.entries(variables)
    .map(([name, value]) => {
      if (/["\\$`\n]/.test(value)) {
        throw new Error(
          `${name} is ${JSON.stringify(value)}: quotes, backslashes, $, \` and line breaks are not allowed`,
        );
      }
      return `${name}="${value}"\n`;
    })
    .join("");
}
