import { defineConfig } from "vitest/config";

const MINUTE = 60_000;

/** One project per layer of tests. test/run.ts runs them in order and reports what it skips. */
export default defineConfig({
  test: {
    // By default, Vitest leaves one of two cores idle.
    maxWorkers: 2,
    projects: [
      { test: { name: "unit", include: ["test/unit/**/*.test.ts"], testTimeout: MINUTE } },
      {
        test: {
          name: "engine",
          include: ["test/engine/**/*.test.ts"],
          testTimeout: 5 * MINUTE,
          hookTimeout: 15 * MINUTE,
          // Each file starts an engine and an emulator; two cores are enough for one at a time.
          fileParallelism: false,
        },
      },
      {
        test: {
          name: "provider",
          include: ["test/provider/**/*.test.ts"],
          testTimeout: 10 * MINUTE,
          hookTimeout: 15 * MINUTE,
          fileParallelism: false,
        },
      },
      {
        test: {
          name: "gateway",
          include: ["test/machine/gateway*.test.ts"],
          testTimeout: MINUTE,
          hookTimeout: 5 * MINUTE,
          fileParallelism: false,
        },
      },
      {
        test: {
          name: "readme",
          include: ["test/machine/readme.test.ts"],
          testTimeout: 20 * MINUTE,
          hookTimeout: 5 * MINUTE,
        },
      },
      {
        test: {
          name: "machine",
          include: ["test/machine/stack.test.ts"],
          testTimeout: 10 * MINUTE,
          hookTimeout: 40 * MINUTE,
        },
      },
    ],
  },
});
