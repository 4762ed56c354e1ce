import { writeFileSync } from "node:fs";
import { cpus } from "node:os";
import type { Context } from "../../scripts/lib/commandLine";
import { run, type Window } from "../lib/load";
import { withProcesses } from "../lib/processes";
import { generator, type Spread, spread } from "../lib/statistics";
import { summarize } from "../lib/summary";
import { Texts } from "../lib/texts";
import type { GrowthOptions } from "./command";
import { type Curve, drawCurves, slope } from "./curves";
import { connectionPoints, keyPoints, type Point, startFakes, textPoints, workerPoints } from "./points";

const WORDS = 30;
const BATCH_WORDS = 7;
const WARM_UP_SECONDS = 0.5;
/** Above this exponent, a cost grows faster than its cause. */
const LINEAR = 1.1;

/** The cost of a point in one window. */
type Cost = (window: Window) => number;

/** Measures each curve, prints it and writes the files. The status is 1 if a cost grows faster than its cause. */
export function measureGrowth(options: GrowthOptions, context: Context): Promise<void> {
  return withProcesses(async (processes, folder) => {
    const { windows, seconds } = options;
    context.out(
      `${cpus().length} cores (${cpus()[0]?.model}), ${windows} windows of ${seconds} s per point\n`,
    );
    const curves: Curve[] = [];
    const add = async (name: string, label: string, cost: Cost, points: Point[]) => {
      const curve = await measureCurve(name, label, cost, points, options);
      context.out(describeCurve(curve));
      curves.push(curve);
    };
    await startFakes(processes);
    await add("keys", "client keys", perRequest, await keyPoints(processes, folder));
    await add("workers", "workers behind the gateway", perRequest, await workerPoints(processes, folder));
    await add("connections", "connections at a time", perRequest, await connectionPoints(processes, folder));
    if (!options.gatewayOnly) {
      const points = await textPoints(processes, folder);
      await add("texts", "texts per request, through the worker", perReply, points);
    }
    save(curves, options);
    context.status = curves.every((curve) => slope(curve) <= LINEAR) ? 0 : 1;
  });
}

/** Milliseconds per request, from the rate. */
function perRequest(window: Window): number {
  return 1000 / summarize([window]).requestsPerSecond;
}

/** Milliseconds of the median reply. */
function perReply(window: Window): number {
  return summarize([window]).p50;
}

/** Measures every point in alternation, forwards and backwards. */
async function measureCurve(
  name: string,
  label: string,
  cost: Cost,
  points: Point[],
  { windows, seconds }: GrowthOptions,
): Promise<Curve> {
  const costs = points.map((): number[] => []);
  for (let turn = -1; turn < windows; turn++) {
    const order = points.map((_, i) => i);
    for (const i of turn % 2 === 0 ? order : order.reverse()) {
      // The window before the first one warms up.
      const window = await measurePoint(points[i]!, label, turn < 0 ? WARM_UP_SECONDS : seconds, turn + 2);
      if (turn >= 0) {
        costs[i]!.push(cost(window));
      }
    }
  }
  await Promise.all(points.map(({ sender }) => sender.close()));
  return { name, label, points: points.map(({ x }, i) => ({ x, cost: spread(costs[i]!) })) };
}

/** @throws Error if a request fails */
async function measurePoint(point: Point, label: string, seconds: number, seed: number): Promise<Window> {
  const { x, sender, shape, connections } = point;
  const texts = new Texts(shape.batch === 1 ? WORDS : BATCH_WORDS, Math.random);
  const window = await run(sender, texts, shape, { connections }, seconds, generator(seed));
  const { errors } = summarize([window]);
  if (Object.keys(errors).length > 0) {
    throw new Error(`${label} ${x}: ${JSON.stringify(errors)}`);
  }
  return window;
}

function describeCurve(curve: Curve): string {
  return [
    `\n${curve.label}: milliseconds per request, median and quartiles`,
    ...curve.points.map(({ x, cost }) => `  ${String(x).padStart(5)}  ${figures(cost)}`),
    `  grows with the exponent ${slope(curve).toFixed(2)} (1: linear, 0: constant)`,
    "",
  ].join("\n");
}

function figures({ median, quartiles: [low, high] }: Spread): string {
  return `${median.toFixed(3)}  (${low.toFixed(3)} to ${high.toFixed(3)})`;
}

function save(curves: Curve[], { svg, json }: GrowthOptions): void {
  if (json) {
    writeFileSync(json, `${JSON.stringify(curves, null, 2)}\n`);
  }
  if (svg) {
    writeFileSync(svg, drawCurves(curves));
  }
}
