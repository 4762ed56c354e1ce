import { writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { join } from "node:path";
import { gatewayKeys } from "../../local/gateway";
import { ROOT } from "../../local/paths";
import { parseFlags } from "../../scripts/lib/commandLine";
import { startGateway } from "../gateway/nginx";
import { benchmark, type Processes } from "../gateway/processes";
import { randomModel, sglangPython, startWorker, writeKeys } from "../gateway/sglang";
import { run, type Window } from "../load";
import { whole } from "../options";
import { Sender, type Shape } from "../sender";
import { generator, type Spread, spread } from "../statistics";
import { summarize } from "../summary";
import { Texts } from "../texts";
import { type Curve, drawCurves, slope } from "./curves";

const USAGE = `usage: npm run bench:growth [-- --windows 5] [--seconds 3] [--svg FILE] [--json FILE] [--gateway-only]

How cost grows with the number of keys, workers, connections and texts a request, on this machine. The gateway is the
machine's nginx in front of workers that answer at once; texts a request go to the worker with the tiny model. Every
point is measured in turns with the others, and its median and quartiles are printed.

Needs Linux, root and what npm start has installed. Takes some minutes.
`;

const SERVED = "Qwen3-Embedding-4B";
const SINGLE: Shape = { batch: 1, tokens: 32, format: "float" };
const PORTS = { gateway: 31_020, worker: 31_040 };
const WORKER_INDEX = 511;
const WORDS = 30;
const BATCH_WORDS = 7;

/** One point of a curve: how it is asked, ready to be measured. */
interface Point {
  x: number;
  sender: Sender;
  shape: Shape;
  connections: number;
}

interface Options {
  windows: number;
  seconds: number;
  svg?: string;
  json?: string;
  gatewayOnly: boolean;
}

/** @returns the exit status: 0 where nothing grows faster than its cause */
export async function main(argv: string[]): Promise<number> {
  return benchmark("bench:growth", USAGE, () => parseOptions(argv), grow);
}

async function grow(processes: Processes, folder: string, options: Options): Promise<number> {
  console.log(
    `${cpus().length} cores (${cpus()[0]?.model}), ${options.windows} windows of ${options.seconds} s a point`,
  );
  const curves = [
    await keyCurve(processes, folder, options),
    await workerCurve(processes, folder, options),
    await connectionCurve(processes, folder, options),
    ...(options.gatewayOnly ? [] : [await batchCurve(processes, folder, options)]),
  ];
  save(curves, options);
  return curves.every((curve) => slope(curve) <= 1.1) ? 0 : 1;
}

function parseOptions(argv: string[]): Options | undefined {
  const { values } = parseFlags({
    args: argv,
    options: {
      help: { type: "boolean" },
      windows: { type: "string", default: "5" },
      seconds: { type: "string", default: "3" },
      svg: { type: "string" },
      json: { type: "string" },
      "gateway-only": { type: "boolean", default: false },
    },
  });
  const { svg, json, help } = values;
  return help
    ? undefined
    : {
        windows: whole("windows", values.windows, 999),
        seconds: whole("seconds", values.seconds, 999),
        svg,
        json,
        gatewayOnly: values["gateway-only"],
      };
}

/** An nginx for each number of keys. */
async function keyCurve(processes: Processes, folder: string, options: Options): Promise<Curve> {
  await startFakes(processes, 1);
  const points = await Promise.all(
    [1, 100, 1000].map(async (x, i) => ({
      ...(await gatewayPoint(processes, join(folder, `keys-${x}`), PORTS.gateway + i, 1, x, 4)),
      x,
    })),
  );
  return measure("keys", "client keys", perRequest, points, options);
}

async function workerCurve(processes: Processes, folder: string, options: Options): Promise<Curve> {
  await startFakes(processes, 8);
  const points = await Promise.all(
    [1, 2, 4, 8].map(async (x, i) => ({
      ...(await gatewayPoint(processes, join(folder, `workers-${x}`), PORTS.gateway + 10 + i, x, 1, 16)),
      x,
    })),
  );
  return measure("workers", "workers behind the edge", perRequest, points, options);
}

async function connectionCurve(processes: Processes, folder: string, options: Options): Promise<Curve> {
  const points = await Promise.all(
    [1, 10, 100, 1000].map(async (x, i) => ({
      ...(await gatewayPoint(processes, join(folder, `connections-${x}`), PORTS.gateway + 15 + i, 8, 1, x)),
      x,
    })),
  );
  return measure("connections", "connections at a time", perRequest, points, options);
}

async function batchCurve(processes: Processes, folder: string, options: Options): Promise<Curve> {
  const python = sglangPython();
  const model = await randomModel(python, "cpu", join(folder, "model"));
  const key = "bench-growth-key";
  writeKeys(join(folder, "worker-keys"), [key]);
  const served = { python, accelerator: "cpu" as const, model, name: SERVED };
  const url = await startWorker(processes, served, WORKER_INDEX, join(folder, "worker-keys"));
  const points = [1, 8, 32, 128, 512, 2048].map((batch) => ({
    x: batch,
    sender: new Sender({ name: "worker", url, model: SERVED, key }, 1),
    shape: { ...SINGLE, batch },
    connections: 1,
  }));
  return measure("texts", "texts a request, through the worker", perAnswer, points, options);
}

/** Milliseconds of the machine's time: what a request takes from the rate. */
function perRequest(window: Window): number {
  return 1000 / summarize([window]).requestsPerSecond;
}

/** Milliseconds until the median answer. */
function perAnswer(window: Window): number {
  return summarize([window]).p50;
}

const faked = new Set<number>();

async function startFakes(processes: Processes, count: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    if (!faked.has(i)) {
      faked.add(i);
      const script = join(ROOT, "bench/growth/worker.ts");
      processes.start(`fake-${i}`, process.execPath, [script, String(PORTS.worker + i)], {
        PATH: process.env.PATH,
      });
      await processes.untilAnswering(`fake-${i}`, `http://127.0.0.1:${PORTS.worker + i}/health`);
    }
  }
}

async function gatewayPoint(
  processes: Processes,
  folder: string,
  port: number,
  workers: number,
  keys: number,
  connections: number,
): Promise<Omit<Point, "x">> {
  const all = Array.from({ length: keys }, (_, i) => `bench-growth-key-${i}`);
  writeKeys(gatewayKeys(folder), all);
  const ports = Array.from({ length: workers }, (_, i) => PORTS.worker + i);
  const { url, ca } = await startGateway(processes, folder, port, ports);
  const endpoint = { name: folder, url, ca, model: SERVED, key: all.at(-1) };
  return { sender: new Sender(endpoint, connections), shape: SINGLE, connections };
}

/** Every point in turns, forwards and backwards. */
async function measure(
  name: string,
  label: string,
  cost: (window: Window) => number,
  points: Point[],
  { windows, seconds }: Options,
): Promise<Curve> {
  const costs = points.map((): number[] => []);
  for (let turn = -1; turn < windows; turn++) {
    const order = points.map((_, i) => i);
    for (const i of turn % 2 === 0 ? order : order.reverse()) {
      const { sender, shape, connections } = points[i]!;
      const texts = new Texts(shape.batch === 1 ? WORDS : BATCH_WORDS, Math.random);
      // The turn before the first warms up.
      const length = turn < 0 ? 0.5 : seconds;
      const window = await run(sender, texts, shape, { connections }, length, generator(turn + 2));
      const { errors } = summarize([window]);
      if (Object.keys(errors).length > 0) {
        throw new Error(`${label} ${points[i]!.x}: ${JSON.stringify(errors)}`);
      }
      if (turn >= 0) {
        costs[i]!.push(cost(window));
      }
    }
  }
  await Promise.all(points.map(({ sender }) => sender.close()));
  const curve = { name, label, points: points.map(({ x }, i) => ({ x, cost: spread(costs[i]!) })) };
  print(curve);
  return curve;
}

function print(curve: Curve): void {
  console.log(`\n${curve.label}: milliseconds a request, median and quartiles`);
  for (const { x, cost } of curve.points) {
    console.log(`  ${String(x).padStart(5)}  ${figures(cost)}`);
  }
  console.log(`  grows as the power ${slope(curve).toFixed(2)} (1: linear, 0: not at all)`);
}

function figures({ median, quartiles: [low, high] }: Spread): string {
  return `${median.toFixed(3)}  (${low.toFixed(3)} to ${high.toFixed(3)})`;
}

function save(curves: Curve[], { svg, json }: Options): void {
  if (json) {
    writeFileSync(json, `${JSON.stringify(curves, null, 2)}\n`);
  }
  if (svg) {
    writeFileSync(svg, drawCurves(curves));
  }
}
