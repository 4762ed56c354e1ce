import { MODEL } from "../bundle/model";
import { rule } from "../settings/rule";
import { GPU_INSTANCE_TYPES, type Gpus } from "./instanceTypes";

/** Bytes of a number in bfloat16. */
const BF16 = 2;
const GB = 1e9;

/**
 * GPU memory that CUDA, cuBLAS and the attention backend's workspace use, in bytes. A generous estimate, because it
 * differs between drivers.
 */
const CUDA_BYTES = 1e9;

export interface MemoryNeed {
  /** Weights, in bytes. */
  weights: number;
  /** KV pool for one input of the whole context, in bytes. */
  kvPool: number;
  /** What a forward pass and CUDA itself need outside SGLang's static share, in bytes. */
  working: number;
}

/** Bytes of GPU memory that the model needs to embed one input of `contextLength` tokens on such a GPU. */
export function memoryNeed(contextLength: number, gpu: Pick<Gpus, "memoryGb">): MemoryNeed {
  const { architecture: model } = MODEL;
  // A key and a value in each layer.
  const kvBytesAToken = 2 * model.layers * model.kvHeads * model.headDim * BF16;
  // The peak within a layer: residual and normed input, both halves of the feed-forward network and their product.
  const activationBytesAToken = (2 * MODEL.dimensions + 3 * model.intermediate) * BF16;
  return {
    weights: model.parameters * BF16,
    kvPool: contextLength * kvBytesAToken,
    working: prefillTokens(gpu) * activationBytesAToken + CUDA_BYTES,
  };
}

/**
 * Why the model does not fit, or undefined if it does. SGLang keeps weights and KV pool within `memFractionStatic` of
 * the GPU's memory and everything else in the rest.
 */
export function memoryProblem(
  contextLength: number,
  memFractionStatic: number,
  gpu: Pick<Gpus, "memoryGb" | "model">,
): string | undefined {
  const need = memoryNeed(contextLength, gpu);
  const total = gpu.memoryGb * GB;
  const fits = (memFraction: number) =>
    need.weights + need.kvPool <= memFraction * total && need.working <= (1 - memFraction) * total;
  if (fits(memFractionStatic)) {
    return undefined;
  }
  const least = Math.ceil((100 * (need.weights + need.kvPool)) / total);
  const most = Math.floor(100 * (1 - need.working / total));
  const wanted =
    `weights of ${gb(need.weights)}, a KV pool of ${gb(need.kvPool)} for ${contextLength} tokens and, outside ` +
    `SGLang's share, ${gb(need.working)} of working memory`;
  const allowed =
    least <= most
      ? `from ${least / 100} to ${most / 100} with this type and contextLength`
      : "none with this type: a shorter contextLength, or an instanceType with more memory per GPU";
  return `memFractionStatic is ${memFractionStatic}, of ${gpu.memoryGb} GB on an ${gpu.model}, which has no room for ${wanted}; allowed: ${allowed}`;
}

/** The model, its context and a forward pass must fit the memory of one GPU. */
export const gpuMemoryRule = rule(
  ["instanceType", "accelerator", "contextLength", "memFractionStatic"],
  ({ instanceType, accelerator, contextLength, memFractionStatic }) => {
    const gpus = accelerator === "cuda" ? GPU_INSTANCE_TYPES[instanceType] : undefined;
    const problem = gpus && memoryProblem(contextLength, memFractionStatic, gpus);
    return problem ? [problem] : [];
  },
);

/** SGLang's default of `--chunked-prefill-size` (0.5.23, arg_groups/memory_hook.py): tokens of one forward pass. */
function prefillTokens({ memoryGb }: Pick<Gpus, "memoryGb">): number {
  return memoryGb < 60 ? 4096 : 8192;
}

function gb(bytes: number): string {
  return `${(bytes / GB).toFixed(1)} GB`;
}
