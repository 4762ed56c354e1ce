import { PATHS } from "../instanceConfig";

/**
 * A worker's command, pinned to the CPUs beside its GPU where there is one. Not systemd's NUMAPolicy=: that wants the
 * node's number in the unit, and which node a GPU is on only the machine knows (see qwen3/numa.py).
 */
export function workerCommand(cuda: boolean): string {
  const python = `${PATHS.home}/venv/bin/python`;
  const worker = `${python} -m qwen3.worker %i`;
  return cuda ? `${python} -m qwen3.numa %i ${worker}` : worker;
}
