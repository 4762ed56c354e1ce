import { describe, expect, it } from "vitest";
import { MODEL } from "../../components/bundle/model";
import { memoryNeed, memoryProblem } from "../../components/compute/gpuMemory";
import { GPU_INSTANCE_TYPES } from "../../components/compute/instanceTypes";

const l4 = GPU_INSTANCE_TYPES["g6.xlarge"]!;
const a100 = GPU_INSTANCE_TYPES["p4d.24xlarge"]!;

describe("memoryNeed", () => {
  it("counts the weights that Hugging Face lists, about 8 GB", () => {
    expect(memoryNeed(MODEL.contextLength, a100).weights).toBe(8_043_548_672);
  });

  it("counts 144 KiB of keys and values per token: 36 layers of 8 heads of 128, twice, in bfloat16", () => {
    expect(memoryNeed(1, a100).kvPool).toBe(144 * 1024);
    expect(memoryNeed(32768, a100).kvPool).toBe(4.5 * 1024 ** 3);
  });
});

describe("memoryProblem", () => {
  it.each(Object.entries(GPU_INSTANCE_TYPES))("accepts the defaults on %s", (_, gpu) => {
    expect(memoryProblem(MODEL.contextLength, 0.85, gpu)).toBeUndefined();
  });

  it("rejects a fraction that is too small for weights and KV pool, and says which are allowed", () => {
    expect(memoryProblem(32768, 0.5, l4)).toMatch(
      /memFractionStatic is 0.5, of 24 GB on an L4, .*weights of 8.0 GB, a KV pool of 4.8 GB for 32768 tokens.*allowed: from 0.54 to 0.94/,
    );
    expect(memoryProblem(32768, 0.54, l4)).toBeUndefined();
    expect(memoryProblem(16384, 0.5, l4)).toBeUndefined();
  });

  it("rejects a fraction that leaves too little working memory", () => {
    expect(memoryProblem(32768, 0.95, l4)).toMatch(/memFractionStatic is 0.95/);
    expect(memoryProblem(32768, 0.94, l4)).toBeUndefined();
    expect(memoryProblem(32768, 0.95, a100)).toBeUndefined();
  });

  it("says so if no fraction is allowed", () => {
    const small = { model: "T4", memoryGb: 12 };
    expect(memoryProblem(32768, 0.85, small)).toMatch(
      /allowed: none with this type: a shorter contextLength/,
    );
  });
});
