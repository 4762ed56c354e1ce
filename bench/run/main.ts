import { writeFileSync } from "node:fs";
import { parse } from "node:path";
import { Presets, SingleBar } from "cli-progress";
import type { Context } from "../../scripts/lib/commandLine";
import { draw } from "../lib/chart";
import type { Pace } from "../lib/load";
import { measure, type Plan, type Progress } from "../lib/measure";
import { describePace, describeShape, formatReport, type Measured, toJson } from "../lib/report";
import type { Endpoint, Shape } from "../lib/sender";
import type { RunOptions } from "./command";
import { findEndpoints } from "./target";

/** Default number of windows of two endpoints. */
const WINDOWS = 10;

/** Measures one endpoint or two, prints the figures, and writes them and the chart to files. */
export async function benchmarkEndpoints(options: RunOptions, context: Context): Promise<void> {
  const endpoints = await findEndpoints(options, context.env);
  for (const { key } of endpoints) {
    if (key) {
      context.hide(key);
    }
  }
  const plan = planOf(options, endpoints);
  context.out(`${describePace(plan.pace)}, ${plan.seconds} s each\n`);
  const measured = await withProgress(plan, (progress) => measure(plan, progress));
  context.out(formatReport(names(endpoints), measured));
  save(options, plan, measured, context);
  const failed = measured.some(({ windows }) =>
    windows.flat().some(({ outcomes }) => outcomes.some(({ status }) => status !== 200)),
  );
  context.status = failed ? 1 : 0;
}

function planOf(options: RunOptions, endpoints: readonly Endpoint[]): Plan {
  const { connections, rate, seconds } = options;
  const pace: Pace = rate === undefined ? { connections } : { rate };
  const windows = endpoints.length === 1 ? 1 : (options.windows ?? WINDOWS);
  return { endpoints, shapes: shapesOf(options), pace, seconds, windows };
}

/** Every combination. */
function shapesOf({ batch, tokens, format }: RunOptions): Shape[] {
  return tokens.flatMap((length) =>
    batch.flatMap((count) => format.map((each) => ({ batch: count, tokens: length, format: each }))),
  );
}

function names(endpoints: readonly Endpoint[]): string[] {
  return endpoints.map(({ name }) => name);
}

/** Shows a bar of the remaining time on a terminal. */
async function withProgress<T>(plan: Plan, work: (progress: Progress) => Promise<T>): Promise<T> {
  const bar = new SingleBar(
    {
      format: "{bar} {percentage}% | {eta_formatted} left | {what}: {requests} requests, {errors} errors",
      clearOnComplete: true,
      hideCursor: true,
      etaBuffer: 50,
      stream: process.stderr,
    },
    Presets.shades_grey,
  );
  const total = plan.shapes.length * plan.endpoints.length * plan.seconds;
  const begin = performance.now();
  bar.start(total, 0, { what: "starting", requests: 0, errors: 0 });
  try {
    return await work({
      advance: (what, requests, errors) =>
        bar.update(Math.min(total, (performance.now() - begin) / 1000), { what, requests, errors }),
    });
  } finally {
    bar.stop();
  }
}

function save(
  { svg, json }: RunOptions,
  { endpoints, pace, seconds }: Plan,
  measured: readonly Measured[],
  context: Context,
): void {
  if (json) {
    writeFileSync(json, `${JSON.stringify(toJson(names(endpoints), pace, measured), null, 2)}\n`);
    context.out(`${json}\n`);
  }
  if (svg) {
    measured.forEach(({ shape, windows }, i) => {
      const series = windows.map((each, k) => ({ name: endpoints[k]!.name, windows: each }));
      const subtitle = `${describePace(pace)}, ${seconds} s each`;
      const file = measured.length === 1 ? svg : numbered(svg, i + 1);
      writeFileSync(file, draw({ title: `Latency of ${describeShape(shape)}`, subtitle, series }));
      context.out(`${file}\n`);
    });
  }
}

function numbered(file: string, number: number): string {
  const { dir, name, ext } = parse(file);
  return `${dir ? `${dir}/` : ""}${name}-${number}${ext}`;
}
