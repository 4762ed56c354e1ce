import { existsSync, readdirSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { type DigestFile, FIRST_WORKER_PORT, SERVED_MODEL } from "../../components/bundle/contract";
import { writeDigests } from "../../local/gateway";
import { run } from "../../local/process";
import { CACHE, ROOT } from "../../scripts/lib/paths";
import type { Accelerator } from "./accelerators";
import type { Processes } from "./processes";

const FILES = join(ROOT, "machine");
/** SGLang's context length as the worker sets it, in tokens. */
const CONTEXT = SERVED_MODEL.contextLength + SERVED_MODEL.contextMargin;
/** Size of the KV pool, in tokens. */
const POOL = 2 * CONTEXT;

/** An instance's Python with SGLang, which `npm start` creates. @throws Error if there is none yet */
export function sglangPython(): string {
  const folder = join(CACHE, "store/venvs");
  const pythons = (existsSync(folder) ? readdirSync(folder) : [])
    .map((name) => join(folder, name, "bin/python"))
    .filter((file) => existsSync(file))
    .sort((a, b) => statSync(b).mtimeMs - statSync(a).mtimeMs);
  if (!pythons[0]) {
    throw new Error(`there is no SGLang in ${folder}: run npm start once, which installs it`);
  }
  return pythons[0];
}

/** The common parameters of SGLang's server and the worker. */
export interface Served {
  /** A Python with SGLang. */
  python: string;
  accelerator: Accelerator;
  /** Folder with the model. */
  model: string;
  name: string;
}

/** For SGLang and the worker on the same GPU: each gets its share of the memory that is free when it starts. */
const SHARED_MEMORY = 0.45;

/** Random weights with the published model's architecture and dimensions: tiny for a CPU, the exact shape for a GPU. */
export async function randomModel(python: string, accelerator: Accelerator, folder: string): Promise<string> {
  const shape = accelerator === "cpu" ? "tiny" : "4B";
  await run(python, [join(ROOT, "local/makeRandomModel.py"), folder, shape]);
  return folder;
}

/**
 * SGLang's own HTTP server, with the worker's arguments except for the tokenizer, which the server needs, and garbage
 * collection, which it configures itself. Returns its base URL.
 */
export async function startBare(processes: Processes, served: Served, port: number): Promise<string> {
  const cpu = { device: "cpu", "attention-backend": "torch_native", dtype: "float32" };
  const flags = {
    "model-path": served.model,
    "served-model-name": served.name,
    "context-length": CONTEXT,
    "max-total-tokens": POOL,
    "mem-fraction-static": SHARED_MEMORY,
    ...(served.accelerator === "cpu" ? cpu : { device: "cuda" }),
    "random-seed": 0,
    host: "127.0.0.1",
    port,
    // Neither server writes one line per request; the worker does.
    "log-level": "warning",
  };
  const args = Object.entries(flags).flatMap(([name, value]) => [`--${name}`, String(value)]);
  processes.start(
    "sglang",
    served.python,
    [
      ...["-W", "ignore", "-m", "sglang.launch_server"],
      ...args,
      ...["--is-embedding", "--disable-radix-cache", "--sleep-on-idle"],
    ],
    environment(served, {}),
  );
  await processes.untilReplying("sglang", `http://127.0.0.1:${port}/ready`);
  return `http://127.0.0.1:${port}/v1`;
}

/** The stack's worker, as its unit starts it. Returns its base URL. */
export async function startWorker(
  processes: Processes,
  served: Served,
  index: number,
  keys: string,
): Promise<string> {
  const env = environment(served, {
    QWEN3_SERVED_MODEL: served.name,
    QWEN3_MODEL_ID: SERVED_MODEL.id,
    QWEN3_MODEL_PATH: served.model,
    QWEN3_ACCELERATOR: served.accelerator,
    QWEN3_MEM_FRACTION_STATIC: String(SHARED_MEMORY),
    QWEN3_MAX_TOTAL_TOKENS: String(POOL),
    QWEN3_KEYS_DIR: keys,
  });
  const root = `http://127.0.0.1:${FIRST_WORKER_PORT + index}`;
  processes.start("worker", served.python, ["-W", "ignore", "-m", "qwen3.worker", String(index)], env);
  await processes.untilReplying("worker", `${root}/health`);
  return `${root}/v1`;
}

function environment({ python, accelerator }: Served, more: Record<string, string>): NodeJS.ProcessEnv {
  // On the CPU, SGLang imports a part of vllm, which the folder `cpu` replaces. The tiny model has nothing to
  // parallelize, and threads that wait for each other by spinning would be counted.
  const cpu = { PYTHONPATH: `${FILES}:${join(FILES, "cpu")}`, OMP_NUM_THREADS: "1" };
  // The compilers for kernels are in SGLang's packages.
  const bin = dirname(python);
  const compilers = `${bin}:${join(bin, "../lib", pythonFolder(bin), "site-packages/nvidia/cu13/bin")}`;
  const cuda = { PYTHONPATH: FILES, PATH: `${compilers}:${process.env.PATH}`, CUDA_VISIBLE_DEVICES: "0" };
  return {
    PATH: process.env.PATH,
    HOME: process.env.HOME,
    PYTHONDONTWRITEBYTECODE: "1",
    HF_HUB_OFFLINE: "1",
    ...(accelerator === "cpu" ? cpu : cuda),
    ...more,
  };
}

/** `python3.11` or another version, as in the virtual environment. */
function pythonFolder(bin: string): string {
  return readdirSync(join(bin, "../lib")).find((name) => name.startsWith("python3")) ?? "python3";
}

/** Writes the digests of these keys; the first one's client is named `default`. */
export function writeKeys(folder: string, keys: readonly string[]): void {
  const files = keys.map((key, i): [string, DigestFile] => [
    key,
    { client: i === 0 ? "default" : `client-${i}`, notAfter: null },
  ]);
  writeDigests(folder, Object.fromEntries(files));
}
