import type { Pace, Window } from "./load";
import type { Shape } from "./sender";
import type { Spread } from "./statistics";
import { compare, type Summary, summarize } from "./summary";

/** The results for one shape: windows by endpoint, in the order of the endpoints. */
export interface Measured {
  shape: Shape;
  windows: Window[][];
}

const COLUMNS = [
  "endpoint",
  "shape",
  "requests",
  "errors",
  "requests/s",
  "tokens/s",
  "p50 ms",
  "p95 ms",
  "p99 ms",
  "CPU ms",
];

export function describeShape({ batch, tokens, format }: Shape): string {
  return `${batch} × ${tokens} ${format}`;
}

export function describePace(pace: Pace): string {
  return "rate" in pace
    ? `open loop, ${pace.rate} requests/s`
    : `closed loop, ${pace.connections} connection${pace.connections === 1 ? "" : "s"}`;
}

/** Which endpoints are compared, by position. */
export type Pairs = readonly (readonly [number, number])[];
const FIRST_AGAINST_SECOND: Pairs = [[0, 1]];

/** One row per endpoint and shape, then the ratios of the compared pairs. */
export function formatReport(
  names: readonly string[],
  measured: readonly Measured[],
  pairs: Pairs = FIRST_AGAINST_SECOND,
): string {
  const rows = measured.flatMap(({ shape, windows }) =>
    windows.map((each, i) => row(names[i] ?? "", shape, summarize(each))),
  );
  const ratios = measured.flatMap(({ shape, windows }) =>
    comparisons(names, windows, pairs).flatMap((comparison) => formatComparison(shape, comparison)),
  );
  return `${table([COLUMNS, ...rows])}\n${ratios.length > 0 ? `\n${ratios.join("\n")}\n` : ""}`;
}

function row(name: string, shape: Shape, summary: Summary): string[] {
  const errors = Object.entries(summary.errors).map(([status, count]) => `${status}: ${count}`);
  return [
    name,
    describeShape(shape),
    String(summary.requests),
    errors.join(", ") || "0",
    figure(summary.requestsPerSecond),
    figure(summary.tokensPerSecond),
    figure(summary.p50),
    figure(summary.p95),
    figure(summary.p99),
    figure(summary.cpuMilliseconds),
  ];
}

function comparisons(names: readonly string[], windows: readonly Window[][], pairs: Pairs) {
  return pairs.flatMap(([a, b]) => {
    const [first, second] = [windows[a], windows[b]];
    return first && second ? [{ first: names[a], second: names[b], ...compare(first, second) }] : [];
  });
}

function formatComparison(
  shape: Shape,
  { first, second, rate, latency, added, cpu }: ReturnType<typeof comparisons>[number],
): string[] {
  return [
    `${describeShape(shape)}: ${first} against ${second}, medians of ${rate.count} pairs of windows`,
    `  requests/s  ×${formatSpread(rate)}`,
    `  p50         ×${formatSpread(latency)}`,
    `  p50 added   ${formatSpread(added)} ms`,
    ...(cpu
      ? [`  CPU time    ×${formatSpread(cpu.ratio)}`, `  CPU added   ${formatSpread(cpu.added)} ms`]
      : []),
  ];
}

export function formatSpread({ median, quartiles, interval }: Spread): string {
  const pair = ([low, high]: [number, number]) => `${low.toFixed(2)} to ${high.toFixed(2)}`;
  return `${median.toFixed(2)} (quartiles ${pair(quartiles)}; 95 % of the median ${pair(interval)})`;
}

/** Three significant figures, as text for a table. */
function figure(value: number): string {
  if (Number.isNaN(value)) {
    return "-";
  }
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3);
}

function table(rows: readonly string[][]): string {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((cells) => cells[column]!.length)));
  return rows
    .map((cells) =>
      cells
        .map((cell, i) => (i < 2 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!)))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

/** The figures as a document. */
export function toJson(
  names: readonly string[],
  pace: Pace,
  measured: readonly Measured[],
  pairs: Pairs = FIRST_AGAINST_SECOND,
): object {
  return {
    endpoints: names,
    pace,
    results: measured.map(({ shape, windows }) => ({
      shape,
      summaries: windows.map((each) => {
        const { latencies: _, ...figures } = summarize(each);
        return figures;
      }),
      comparisons: comparisons(names, windows, pairs),
    })),
  };
}
