import { join } from "node:path";
import { gatewayKeys } from "../../local/gateway";
import { ROOT } from "../../scripts/lib/paths";
import { startGateway } from "../lib/nginx";
import type { Processes } from "../lib/processes";
import { Sender, type Shape } from "../lib/sender";
import { randomModel, sglangPython, startWorker, writeKeys } from "../lib/sglang";

const SERVED = "Qwen3-Embedding-4B";
const SINGLE: Shape = { batch: 1, tokens: 32, format: "float" };
const WORKER_INDEX = 511;
const FIRST_FAKE_PORT = 31_040;
const MOST_WORKERS = 8;
/** First port of each curve's gateways. A curve has at most five points. */
const FIRST_PORTS = { keys: 31_020, workers: 31_025, connections: 31_030 };

/** One point of a curve, ready to be measured. */
export interface Point {
  x: number;
  sender: Sender;
  shape: Shape;
  connections: number;
}

/** The size of a point's gateway. */
interface GatewayShape {
  workers: number;
  keys: number;
  connections: number;
}

/** Starts workers that respond immediately. */
export async function startFakes(processes: Processes): Promise<void> {
  const script = join(ROOT, "bench/growth/worker.ts");
  for (const port of fakePorts(MOST_WORKERS)) {
    const name = `fake-${port}`;
    processes.start(name, process.execPath, [script, String(port)], { PATH: process.env.PATH });
    await processes.untilReplying(name, `http://127.0.0.1:${port}/health`);
  }
}

export function keyPoints(processes: Processes, folder: string): Promise<Point[]> {
  return gatewayPoints(processes, join(folder, "keys"), FIRST_PORTS.keys, [1, 100, 1000], (keys) => ({
    workers: 1,
    keys,
    connections: 4,
  }));
}

export function workerPoints(processes: Processes, folder: string): Promise<Point[]> {
  const counts = [1, 2, 4, MOST_WORKERS];
  return gatewayPoints(processes, join(folder, "workers"), FIRST_PORTS.workers, counts, (workers) => ({
    workers,
    keys: 1,
    connections: 16,
  }));
}

export function connectionPoints(processes: Processes, folder: string): Promise<Point[]> {
  const counts = [1, 10, 100, 1000];
  return gatewayPoints(
    processes,
    join(folder, "connections"),
    FIRST_PORTS.connections,
    counts,
    (connections) => ({ workers: MOST_WORKERS, keys: 1, connections }),
  );
}

/** Texts per request, to the worker with the tiny model. */
export async function textPoints(processes: Processes, folder: string): Promise<Point[]> {
  const python = sglangPython();
  const model = await randomModel(python, "cpu", join(folder, "model"));
  const key = "bench-growth-key";
  const keys = join(folder, "worker-keys");
  writeKeys(keys, [key]);
  const served = { python, accelerator: "cpu" as const, model, name: SERVED };
  const url = await startWorker(processes, served, WORKER_INDEX, keys);
  return [1, 8, 32, 128, 512, 2048].map((batch) => ({
    x: batch,
    sender: new Sender({ name: "worker", url, model: SERVED, key }, 1),
    shape: { ...SINGLE, batch },
    connections: 1,
  }));
}

/** One nginx for each value of x. */
function gatewayPoints(
  processes: Processes,
  folder: string,
  firstPort: number,
  values: readonly number[],
  shapeOf: (x: number) => GatewayShape,
): Promise<Point[]> {
  return Promise.all(
    values.map(async (x, i) => {
      const { workers, keys, connections } = shapeOf(x);
      const own = join(folder, String(x));
      const all = Array.from({ length: keys }, (_, key) => `bench-growth-key-${key}`);
      writeKeys(gatewayKeys(own), all);
      const { url, ca } = await startGateway(processes, own, firstPort + i, fakePorts(workers));
      const sender = new Sender({ name: own, url, ca, model: SERVED, key: all.at(-1) }, connections);
      return { x, sender, shape: SINGLE, connections };
    }),
  );
}

function fakePorts(count: number): number[] {
  return Array.from({ length: count }, (_, i) => FIRST_FAKE_PORT + i);
}
