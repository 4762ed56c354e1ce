import { rule, show } from "../settings/rule";
import type { Settings } from "../settings/table";

/** The GPUs of an EC2 instance type. Source: https://aws.amazon.com/ec2/instance-types/ (accelerated computing). */
export interface Gpus {
  /** GPUs of one instance; each has one worker. */
  count: number;
  /** NVIDIA's name. */
  model: string;
  /** Memory of one GPU in GB of 10^9 bytes, as it is sold: the driver reports a little more in each case. */
  memoryGb: number;
  /** vCPUs of the instance, which EC2's quotas count. */
  vcpus: number;
}

/** The NVIDIA types of compute capability 8.0 or later (bfloat16), which SGLang's kernels need. */
export const GPU_INSTANCE_TYPES: Readonly<Record<string, Gpus>> = {
  "p4d.24xlarge": { count: 8, model: "A100", memoryGb: 40, vcpus: 96 },
  "p4de.24xlarge": { count: 8, model: "A100", memoryGb: 80, vcpus: 96 },
  "p5.4xlarge": { count: 1, model: "H100", memoryGb: 80, vcpus: 16 },
  "p5.48xlarge": { count: 8, model: "H100", memoryGb: 80, vcpus: 192 },
  "p5e.48xlarge": { count: 8, model: "H200", memoryGb: 141, vcpus: 192 },
  "p5en.48xlarge": { count: 8, model: "H200", memoryGb: 141, vcpus: 192 },
  ...family("g5", "A10G", 24),
  ...family("g6", "L4", 24),
  ...family("g6e", "L40S", 48),
};

/**
 * Types that AWS sells capacity blocks for, as far as this stack knows them.
 * Source: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ec2-capacity-blocks.html
 */
export const CAPACITY_BLOCK_TYPES: readonly string[] = Object.keys(GPU_INSTANCE_TYPES).filter((type) =>
  type.startsWith("p"),
);

/** On a GPU, the type must be one whose memory and number of GPUs this stack knows. */
export const instanceTypeRule = rule(["instanceType", "accelerator"], ({ instanceType, accelerator }) =>
  accelerator === "cpu" || Object.hasOwn(GPU_INSTANCE_TYPES, instanceType)
    ? []
    : [
        `instanceType is ${show(instanceType)}; allowed: a type with NVIDIA GPUs that this stack knows: ${Object.keys(GPU_INSTANCE_TYPES).join(", ")}`,
      ],
);

/** Number of workers of one instance: one per GPU, or on a CPU as many as the setting says. */
export function workersOf({
  instanceType,
  accelerator,
  cpuWorkers,
}: Pick<Settings, "instanceType" | "accelerator" | "cpuWorkers">): number {
  return accelerator === "cuda" ? (GPU_INSTANCE_TYPES[instanceType]?.count ?? 1) : cpuWorkers;
}

/** The g families share their sizes: GPUs and vCPUs. */
function family(name: string, model: string, memoryGb: number): Record<string, Gpus> {
  const sizes: Record<string, [number, number]> = {
    xlarge: [1, 4],
    "2xlarge": [1, 8],
    "4xlarge": [1, 16],
    "8xlarge": [1, 32],
    "16xlarge": [1, 64],
    "12xlarge": [4, 48],
    "24xlarge": [4, 96],
    "48xlarge": [8, 192],
  };
  return Object.fromEntries(
    Object.entries(sizes).map(([size, [count, vcpus]]) => [
      `${name}.${size}`,
      { count, model, memoryGb, vcpus },
    ]),
  );
}
