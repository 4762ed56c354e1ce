import { SERVED_MODEL } from "./contract";

/** The model that this stack serves; https://huggingface.co/Qwen/Qwen3-Embedding-4B, Apache-2.0. */
export const MODEL = {
  ...SERVED_MODEL,
  revision: "5cf2132abc99cad020ac570b19d031efec650f2b",
  /** From config.json at that revision. `parameters` is computed from it, with 151,665 rows of tied embeddings. */
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
