import type { Window } from "./load";
import { Latencies } from "./statistics";

/** One endpoint's replies to one shape, for a chart. */
export interface Series {
  name: string;
  windows: readonly Window[];
}

export interface Chart {
  title: string;
  subtitle: string;
  series: readonly Series[];
}

const COLOURS = ["#2563eb", "#ea580c", "#16a34a", "#9333ea"];
const WIDTH = 960;
const HEIGHT = 400;
const PANEL = { width: 380, height: 260, top: 78 };
const LEFTS = [70, 548];
const SHARES = [0, 0.5, 0.9, 0.99, 0.999, 0.9999];
/** Maximum number of points of one timeline; others are omitted evenly. */
const MOST_POINTS = 600;

/**
 * An SVG of two panels with a common logarithmic axis of latency. Left: by share of requests, on a scale that gives
 * each further nine the same width. Right: by time, with one point per request and one cross per error.
 */
export function draw({ title, subtitle, series }: Chart): string {
  const latencies = series.map(({ windows }) => collect(windows));
  const [low, high] = range(latencies);
  const y = (ms: number) =>
    PANEL.top + PANEL.height * (1 - Math.log(clamp(ms, low, high) / low) / Math.log(high / low));
  const body = [
    text(LEFTS[0]!, 28, title, "title"),
    text(LEFTS[0]!, 47, subtitle, "small"),
    ...LEFTS.flatMap((left) => grid(left, low, high, y)),
    ...shareAxis(LEFTS[0]!, latencies),
    ...latencies.map((each, i) => curve(LEFTS[0]!, each, lastShare(latencies), y, i)),
    ...timeline(LEFTS[1]!, series, y),
    ...legend(series),
  ];
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${HEIGHT}" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="Helvetica, Arial, sans-serif" font-size="12" fill="#1f2937">
<title>${escapeXml(title)}</title>
<style>.title{font-size:16px;font-weight:bold}.small{font-size:11px;fill:#6b7280}.end{text-anchor:end}.middle{text-anchor:middle}</style>
<rect width="100%" height="100%" fill="#ffffff"/>
${body.join("\n")}
</svg>
`;
}

function collect(windows: readonly Window[]): Latencies {
  const latencies = new Latencies();
  for (const { status, milliseconds } of windows.flatMap(({ outcomes }) => outcomes)) {
    if (status === 200) {
      latencies.add(milliseconds);
    }
  }
  return latencies;
}

/** Milliseconds on 1, 2 or 5 times a power of ten, around all plotted values. */
function range(latencies: readonly Latencies[]): [number, number] {
  const some = latencies.filter(({ count }) => count > 0);
  const low = Math.min(...some.map((each) => each.quantile(0)));
  const high = Math.max(...some.map((each) => each.quantile(1)));
  if (!Number.isFinite(low)) {
    return [1, 10];
  }
  const steps = ticks(low / 10, high * 10);
  const least = steps.findLast((step) => step <= low)!;
  return [least, steps.find((step) => step >= high && step > least)!];
}

/** 1, 2 and 5 times powers of ten within bounds. */
function ticks(low: number, high: number): number[] {
  const all: number[] = [];
  for (let power = Math.floor(Math.log10(low)); 10 ** power <= high; power++) {
    all.push(...[1, 2, 5].map((step) => step * 10 ** power));
  }
  return all.filter((step) => step >= low * 0.999 && step <= high * 1.001);
}

function grid(left: number, low: number, high: number, y: (ms: number) => number): string[] {
  const right = left + PANEL.width;
  const all = ticks(low, high);
  // For more than three decades, the powers of ten are enough.
  const shown = all.length > 10 ? all.filter((step) => Number.isInteger(Math.log10(step))) : all;
  return [
    ...shown.flatMap((ms) => [line(left, y(ms), right, y(ms), "#e5e7eb"), label(left - 6, y(ms) + 4, ms)]),
    text(left, PANEL.top - 8, "latency", "small"),
    line(left, PANEL.top + PANEL.height, right, PANEL.top + PANEL.height, "#9ca3af"),
  ];
}

function label(x: number, y: number, ms: number): string {
  return text(x, y, ms >= 1000 ? `${ms / 1000} s` : `${+ms.toPrecision(1)} ms`, "small end");
}

/** Each further nine has the same width. */
function shareX(left: number, share: number, last: number): number {
  return left + (PANEL.width * Math.log10(1 - share)) / Math.log10(1 - last);
}

/** The last share that the largest number of requests can show. */
function lastShare(latencies: readonly Latencies[]): number {
  const most = Math.max(...latencies.map(({ count }) => count), 10);
  return 1 - 1 / most;
}

function shareAxis(left: number, latencies: readonly Latencies[]): string[] {
  const last = lastShare(latencies);
  const bottom = PANEL.top + PANEL.height;
  return [
    ...SHARES.filter((share) => share <= last).flatMap((share) => {
      const x = shareX(left, share, last);
      return [
        line(x, PANEL.top, x, bottom, "#e5e7eb"),
        text(x, bottom + 16, `p${+(100 * share).toFixed(2)}`, "small middle"),
      ];
    }),
    text(left + PANEL.width / 2, bottom + 34, "share of requests", "small middle"),
  ];
}

function curve(
  left: number,
  latencies: Latencies,
  last: number,
  y: (ms: number) => number,
  index: number,
): string {
  if (latencies.count === 0) {
    return "";
  }
  const steps = Array.from({ length: 201 }, (_, i) => 1 - (1 - lastShare([latencies])) ** (i / 200));
  const points = steps.map(
    (share) => `${shareX(left, share, last).toFixed(1)},${y(latencies.quantile(share)).toFixed(1)}`,
  );
  return `<polyline fill="none" stroke="${COLOURS[index % COLOURS.length]}" stroke-width="2" points="${points.join(" ")}"/>`;
}

/** The windows one after the other, with each endpoint's windows joined. */
function timeline(left: number, series: readonly Series[], y: (ms: number) => number): string[] {
  const total = Math.max(...series.map(({ windows }) => windows.reduce((sum, w) => sum + w.seconds, 0)));
  const bottom = PANEL.top + PANEL.height;
  const x = (seconds: number) => left + (PANEL.width * seconds) / total;
  const points = series.flatMap(({ windows }, index) => {
    let begin = 0;
    const all = windows.flatMap(({ outcomes, seconds }) => {
      const start = begin;
      begin += seconds;
      return outcomes.map(({ at, milliseconds, status }) => ({
        seconds: start + at / 1000,
        milliseconds,
        ok: status === 200,
      }));
    });
    const stride = Math.ceil(all.length / MOST_POINTS);
    const marks = all
      .filter(({ ok }, i) => !ok || i % stride === 0)
      .map(({ seconds, milliseconds, ok }) =>
        ok
          ? `<circle cx="${x(seconds).toFixed(1)}" cy="${y(milliseconds).toFixed(1)}" r="1.8"/>`
          : text(x(seconds), PANEL.top + 8 + 10 * index, "×", "middle"),
      );
    return [`<g fill="${COLOURS[index % COLOURS.length]}" fill-opacity="0.45">`, ...marks, "</g>"];
  });
  const step = [1, 2, 5, 10, 20, 30, 60, 120, 300, 600].find((each) => total / each <= 8) ?? 1200;
  const marks = Array.from({ length: Math.floor(total / step) + 1 }, (_, i) => i * step);
  return [
    ...points,
    ...marks.map((seconds) => text(x(seconds), bottom + 16, `${seconds} s`, "small middle")),
    text(
      left + PANEL.width / 2,
      bottom + 34,
      "time, each endpoint's own windows joined (× an error)",
      "small middle",
    ),
  ];
}

function legend(series: readonly Series[]): string[] {
  let x = LEFTS[0]!;
  return series.map(({ name }, index) => {
    const mark = `<rect x="${x}" y="${HEIGHT - 18}" width="14" height="4" fill="${COLOURS[index % COLOURS.length]}"/>`;
    const item = `${mark}${text(x + 20, HEIGHT - 12, name, "")}`;
    x += 44 + 7 * name.length;
    return item;
  });
}

function line(x1: number, y1: number, x2: number, y2: number, colour: string): string {
  return `<line x1="${x1.toFixed(1)}" y1="${y1.toFixed(1)}" x2="${x2.toFixed(1)}" y2="${y2.toFixed(1)}" stroke="${colour}"/>`;
}

function text(x: number, y: number, value: string, kind: string): string {
  return `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" class="${kind}">${escapeXml(value)}</text>`;
}

function escapeXml(value: string): string {
  return value.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

function clamp(value: number, low: number, high: number): number {
  return Math.min(high, Math.max(low, value));
}
