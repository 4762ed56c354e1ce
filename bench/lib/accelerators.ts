/** Processors that SGLang computes on. */
export const ACCELERATORS = ["cpu", "cuda"] as const;
export type Accelerator = (typeof ACCELERATORS)[number];
