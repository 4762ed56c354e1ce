import type { Spread } from "../lib/statistics";

/** A cost by the quantity of its cause. */
export interface Curve {
  name: string;
  label: string;
  points: { x: number; cost: Spread }[];
}

const PANEL = { width: 200, height: 190, left: 56, top: 62, gap: 46 };

/** The exponent by which the cost grows: least squares through the logarithms. 1 is linear. */
export function slope({ points }: Curve): number {
  const logs = points.map(({ x, cost }) => [Math.log(x), Math.log(cost.median)] as const);
  const mean = (axis: 0 | 1) => logs.reduce((sum, each) => sum + each[axis], 0) / logs.length;
  const [x, y] = [mean(0), mean(1)];
  const covariance = logs.reduce((sum, each) => sum + (each[0] - x) * (each[1] - y), 0);
  return covariance / logs.reduce((sum, each) => sum + (each[0] - x) ** 2, 0);
}

/** One panel per curve, both axes logarithmic: medians with quartiles, and linear growth as a dashed line. */
export function drawCurves(curves: readonly Curve[]): string {
  const width = curves.length * (PANEL.width + PANEL.gap) + PANEL.left;
  const height = PANEL.top + PANEL.height + 56;
  const panels = curves.map((curve, i) => panel(curve, PANEL.left + i * (PANEL.width + PANEL.gap)));
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" font-family="Helvetica, Arial, sans-serif" font-size="11" fill="#1f2937">
<title>Milliseconds per request, as each grows</title>
<rect width="100%" height="100%" fill="#ffffff"/>
<text x="${PANEL.left}" y="24" font-size="16" font-weight="bold">Milliseconds per request, as each grows</text>
<text x="${PANEL.left}" y="42" fill="#6b7280">medians with quartiles; dashed: linear from the first point</text>
${panels.join("\n")}
</svg>
`;
}

function panel({ label, points }: Curve, left: number): string {
  const costs = points.flatMap(({ cost }) => [cost.median, ...cost.quartiles]);
  const [low, high] = [Math.min(...costs) / 1.5, Math.max(...costs, Math.min(...costs) * 10) * 1.5];
  const [first, last] = [points[0]!, points.at(-1)!];
  const x = (value: number) => left + (PANEL.width * Math.log(value / first.x)) / Math.log(last.x / first.x);
  const y = (value: number) => PANEL.top + PANEL.height * (1 - Math.log(value / low) / Math.log(high / low));
  const bottom = PANEL.top + PANEL.height;
  const all = [-3, -2, -1, 0, 1, 2, 3, 4, 5].flatMap((power) => [1, 2, 5].map((step) => step * 10 ** power));
  const ticks = all.filter((tick) => tick >= low && tick <= high).map((tick) => +tick.toPrecision(1));
  const linearEnd = Math.min(last.x, (first.x * high) / first.cost.median);
  const right = left + PANEL.width;
  return [
    `<rect x="${left}" y="${PANEL.top}" width="${PANEL.width}" height="${PANEL.height}" fill="none" stroke="#d1d5db"/>`,
    ...ticks.map(
      (tick) =>
        `<line x1="${left}" x2="${right}" y1="${at(y(tick))}" y2="${at(y(tick))}" stroke="#e5e7eb"/><text x="${left - 5}" y="${at(y(tick) + 4)}" text-anchor="end" fill="#6b7280">${tick}</text>`,
    ),
    ...points.map(
      ({ x: value }) =>
        `<text x="${at(x(value))}" y="${bottom + 15}" text-anchor="middle" fill="#6b7280">${value}</text>`,
    ),
    `<line x1="${at(x(first.x))}" y1="${at(y(first.cost.median))}" x2="${at(x(linearEnd))}" y2="${at(y((first.cost.median * linearEnd) / first.x))}" stroke="#9ca3af" stroke-dasharray="4 4"/>`,
    `<polyline fill="none" stroke="#2563eb" stroke-width="2" points="${points.map((p) => `${at(x(p.x))},${at(y(p.cost.median))}`).join(" ")}"/>`,
    ...points.map(({ x: value, cost }) => {
      const [from, to] = cost.quartiles;
      return `<line x1="${at(x(value))}" x2="${at(x(value))}" y1="${at(y(from))}" y2="${at(y(to))}" stroke="#2563eb"/><circle cx="${at(x(value))}" cy="${at(y(cost.median))}" r="3" fill="#2563eb"/>`;
    }),
    `<text x="${left + PANEL.width / 2}" y="${bottom + 34}" text-anchor="middle">${label}</text>`,
  ].join("\n");
}

function at(value: number): string {
  return value.toFixed(1);
}
