import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { CACHE, ROOT } from "../../../local/paths";
import { run } from "../../../local/process";
import type { Processes } from "./processes";

const FILES = join(ROOT, "components/machine/files");
const CONTEXT = 32_768;
/** CONTEXT_MARGIN of qwen3/worker/engine.py. */
const MARGIN = 7;

/** The machine's own Python with SGLang, which `npm start` has made. @throws where there is none yet */
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

/** The local environment's tiny model: the published one's architecture and dimensions. */
export async function tinyModel(python: string, folder: string): Promise<string> {
  await run(python, [join(ROOT, "local/makeTinyModel.py"), folder]);
  return folder;
}

/** SGLang's own HTTP server, with the flags that the worker gives SGLang, on the CPU. Answers its base URL. */
export async function startBare(
  processes: Processes,
  python: string,
  model: string,
  port: number,
  served: string,
): Promise<string> {
  const flags = {
    "model-path": model,
    "served-model-name": served,
    "context-length": CONTEXT + MARGIN,
    "max-total-tokens": 2 * (CONTEXT + MARGIN),
    "mem-fraction-static": 0.85,
    device: "cpu",
    "attention-backend": "torch_native",
    dtype: "float32",
    "random-seed": 0,
    host: "127.0.0.1",
    port,
    // Neither server writes a line a request, which the door does.
    "log-level": "warning",
  };
  const args = Object.entries(flags).flatMap(([name, value]) => [`--${name}`, String(value)]);
  processes.start(
    "sglang",
    python,
    [
      ...["-W", "ignore", "-m", "sglang.launch_server"],
      ...args,
      ...["--is-embedding", "--disable-radix-cache", "--sleep-on-idle"],
    ],
    environment({}),
  );
  await processes.untilAnswering("sglang", `http://127.0.0.1:${port}/ready`);
  return `http://127.0.0.1:${port}/v1`;
}

/** The stack's worker, as its unit starts it. Answers its base URL. */
export async function startWorker(
  processes: Processes,
  python: string,
  model: string,
  index: number,
  served: string,
  keys: string,
): Promise<string> {
  const env = environment({
    QWEN3_SERVED_MODEL: served,
    QWEN3_MODEL_ID: "Qwen/Qwen3-Embedding-4B",
    QWEN3_MODEL_PATH: model,
    QWEN3_ACCELERATOR: "cpu",
    QWEN3_KEYS_DIR: keys,
  });
  processes.start("worker", python, ["-W", "ignore", "-m", "qwen3.worker", String(index)], env);
  await processes.untilAnswering("worker", `http://127.0.0.1:${30_000 + index}/health`);
  return `http://127.0.0.1:${30_000 + index}/v1`;
}

function environment(more: Record<string, string>): NodeJS.ProcessEnv {
  return {
    PATH: process.env.PATH,
    HOME: process.env.HOME,
    // SGLang on the CPU imports a part of vllm, which `cpu` stands in for.
    PYTHONPATH: `${FILES}:${join(FILES, "cpu")}`,
    PYTHONDONTWRITEBYTECODE: "1",
    HF_HUB_OFFLINE: "1",
    // The tiny model has nothing to share out, and threads that wait for each other by spinning would be counted.
    OMP_NUM_THREADS: "1",
    ...more,
  };
}

/** Digests as qwen3-keys writes them: of these keys, of which the first is honoured by name `default`. */
export function writeKeys(folder: string, keys: readonly string[]): void {
  for (const copy of ["edge", "door"]) {
    mkdirSync(join(folder, copy), { recursive: true });
    keys.forEach((key, i) => {
      const digest = createHash("sha256").update(key).digest("hex");
      const client = i === 0 ? "default" : `client-${i}`;
      writeFileSync(join(folder, copy, digest), JSON.stringify({ client, notAfter: null }));
    });
  }
  writeFileSync(join(folder, "loaded"), "");
}
