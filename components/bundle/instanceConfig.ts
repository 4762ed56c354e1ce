import { createHash } from "node:crypto";
import type { Setting } from "../settings/kinds";
import { SETTINGS, type Settings } from "../settings/table";
import { LONGEST_ANSWER_SECONDS, PATHS } from "./contract";
import { MODEL } from "./model";

export { LONGEST_ANSWER_SECONDS };

/** A load balancer waits slightly longer than nginx does for a worker, so that the error comes from nginx. */
export const LOAD_BALANCER_IDLE_SECONDS = LONGEST_ANSWER_SECONDS + 20;

/** The lifecycle hook that an instance of a fleet completes once it serves. */
export const READY_HOOK = "ready";

export const METRICS_NAMESPACE = "qwen3-embedding";

/**
 * The metrics that each instance of a fleet publishes once a minute: tokens per second, tokens that waited on average,
 * and the tokens per second that its workers have shown they can compute.
 */
export const METRICS = {
  rate: "TokensPerSecond",
  waiting: "TokensWaiting",
  capacity: "TokensPerSecondCapacity",
} as const;

/** An instance's membership of a fleet. */
export interface FleetMembership {
  /** Whether the fleet grows and shrinks with the work of its instances. */
  publishesUtilization: boolean;
  /** IPv4 ranges of the load balancer's requests. */
  trustedProxies: string[];
}

/** The settings that determine the contents of the bundle. */
export interface BundleConfig extends Pick<Settings, "accelerator" | "maxBodyBytes" | "modelSource"> {
  /** One per GPU. */
  workers: number;
  /** Only for an instance of a fleet. */
  fleet?: FleetMembership;
}

/** Everything that determines an instance. */
export interface InstanceConfig
  extends BundleConfig,
    Pick<Settings, "contextLength" | "memFractionStatic" | "maxInputs">,
    Partial<Pick<Settings, "awsEndpointUrl" | "httpsProxy" | "packageMirror" | "modelSha256">> {
  region: string;
  bucket: string;
  bundleKey: string;
  /** SHA-256 of the bundle, hexadecimal. The instance rejects any other bundle. */
  bundleSha256: string;
  indexKey: string;
  /** Name of the Auto Scaling group; only for an instance of a fleet. */
  autoScalingGroup?: string;
}

/** The folder for the weights of one source. A changed source or digest gives another folder. */
export function modelPath(config: Pick<InstanceConfig, "modelSource" | "modelSha256">): string {
  const id = createHash("sha256")
    .update(`${config.modelSource}\n${config.modelSha256 ?? ""}`)
    .digest("hex")
    .slice(0, 16);
  return `${PATHS.store}/models/${id}`;
}

/** The variables of {@link PATHS.environment}: the settings that have a variable in the table, and derived values. */
export function environment(config: InstanceConfig): Record<string, string> {
  return {
    AWS_REGION: config.region,
    AWS_DEFAULT_REGION: config.region,
    ...toldSettings(config),
    QWEN3_SERVED_MODEL: MODEL.servedName,
    QWEN3_MODEL_ID: MODEL.id,
    QWEN3_MODEL_PATH: modelPath(config),
    QWEN3_DIMENSIONS: String(MODEL.dimensions),
    QWEN3_BUCKET: config.bucket,
    QWEN3_INDEX_KEY: config.indexKey,
    ...(config.autoScalingGroup && { QWEN3_AUTO_SCALING_GROUP: config.autoScalingGroup }),
  };
}

/** Settings that have a variable, by variable, in the order of the table. */
function toldSettings(config: InstanceConfig): Record<string, string> {
  const values: Partial<Record<string, unknown>> = { ...config };
  return Object.fromEntries(
    Object.entries(SETTINGS as Record<string, Setting>).flatMap(([name, { variable }]) =>
      variable === undefined || values[name] === undefined ? [] : [[variable, String(values[name])]],
    ),
  );
}

/** Lines of a systemd EnvironmentFile. Values are quoted, which systemd and a shell read the same way. */
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
