import { writeFileSync } from "node:fs";
import { parse } from "node:path";
import { Presets, SingleBar } from "cli-progress";
import { type Streams, UsageError } from "../scripts/lib/commandLine";
import { Redactor } from "../scripts/lib/secrets";
import { draw } from "./chart";
import { measure, type Plan, type Progress } from "./measure";
import { type Options, parseOptions, USAGE } from "./options";
import { describePace, describeShape, formatReport, type Measured, toJson } from "./report";
import type { Endpoint } from "./sender";
import { findEndpoints } from "./target";

/** @returns the exit status */
export async function main(argv: string[], env: NodeJS.ProcessEnv, streams: Streams): Promise<number> {
  const redactor = new Redactor();
  const out = (text: string) => streams.stdout.write(redactor.redact(text));
  try {
    const options = parseOptions(argv);
    if (options.help) {
      out(USAGE);
      return 0;
    }
    const endpoints = await findEndpoints(options, env);
    for (const { key } of endpoints) {
      if (key) {
        redactor.add(key);
      }
    }
    out(`${describePace(options.pace)}, ${options.seconds} s each\n`);
    const plan: Plan = { ...options, endpoints };
    const measured = await withProgress(plan, (progress) => measure(plan, progress));
    out(formatReport(names(endpoints), measured));
    save(options, endpoints, measured, out);
    const failed = measured.some(({ windows }) =>
      windows.flat().some(({ outcomes }) => outcomes.some(({ status }) => status !== 200)),
    );
    return failed ? 1 : 0;
  } catch (error) {
    const usage = error instanceof UsageError;
    const text = `bench: ${(error as Error).message}\n${usage ? "See --help.\n" : ""}`;
    streams.stderr.write(redactor.redact(text));
    return usage ? 2 : 1;
  }
}

function names(endpoints: readonly Endpoint[]): string[] {
  return endpoints.map(({ name }) => name);
}

/** A bar of the time that is left, where somebody looks at a terminal. */
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
  { svg, json, pace, seconds }: Options,
  endpoints: readonly Endpoint[],
  measured: readonly Measured[],
  out: (text: string) => void,
): void {
  if (json) {
    writeFileSync(json, `${JSON.stringify(toJson(names(endpoints), pace, measured), null, 2)}\n`);
    out(`${json}\n`);
  }
  if (svg) {
    measured.forEach(({ shape, windows }, i) => {
      const series = windows.map((each, k) => ({ name: endpoints[k]!.name, windows: each }));
      const subtitle = `${describePace(pace)}, ${seconds} s each`;
      const file = measured.length === 1 ? svg : numbered(svg, i + 1);
      writeFileSync(file, draw({ title: `Latency of ${describeShape(shape)}`, subtitle, series }));
      out(`${file}\n`);
    });
  }
}

function numbered(file: string, number: number): string {
  const { dir, name, ext } = parse(file);
  return `${dir ? `${dir}/` : ""}${name}-${number}${ext}`;
}
