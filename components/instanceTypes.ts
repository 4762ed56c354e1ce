/** The GPUs of an EC2 instance type. Source: https://aws.amazon.com/ec2/instance-types/ (accelerated computing). */
export interface Gpus {
  /** GPUs a machine; one worker each. */
  count: number;
  /** As NVIDIA names it. */
  model: string;
  /** Memory of one GPU, in GiB. */
  memoryGib: number;
}

/** The NVIDIA types of compute capability 8.0 or later (bfloat16), which SGLang's kernels need. */
export const GPU_INSTANCE_TYPES: Readonly<Record<string, Gpus>> = {
  "p4d.24xlarge": { count: 8, model: "A100", memoryGib: 40 },
  "p4de.24xlarge": { count: 8, model: "A100", memoryGib: 80 },
  "p5.4xlarge": { count: 1, model: "H100", memoryGib: 80 },
  "p5.48xlarge": { count: 8, model: "H100", memoryGib: 80 },
  "p5e.48xlarge": { count: 8, model: "H200", memoryGib: 141 },
  "p5en.48xlarge": { count: 8, model: "H200", memoryGib: 141 },
  ...family("g5", "A10G", 24),
  ...family("g6", "L4", 24),
  ...family("g6e", "L40S", 48),
};

/** The g families share their sizes. */
function family(name: string, model: string, memoryGib: number): Record<string, Gpus> {
  const counts = {
    xlarge: 1,
    "2xlarge": 1,
    "4xlarge": 1,
    "8xlarge": 1,
    "16xlarge": 1,
    "12xlarge": 4,
    "24xlarge": 4,
    "48xlarge": 8,
  };
  return Object.fromEntries(
    Object.entries(counts).map(([size, count]) => [`${name}.${size}`, { count, model, memoryGib }]),
  );
}
