import { PATHS } from "../contract";

/**
 * A worker's command, pinned to the CPUs of its GPU's NUMA node if there is a GPU. systemd's NUMAPolicy= needs the
 * node's number in the unit, which only the instance knows (see qwen3/numa.py).
 */
export function workerCommand(cuda: boolean): string {
  const python = `${PATHS.venv}/bin/python`;
  const worker = `${python} -m qwen3.worker %i`;
  return cuda ? `${python} -m qwen3.numa %i ${worker}` : worker;
}
