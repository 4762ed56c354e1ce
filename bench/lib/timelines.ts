/** A quantity over time, of one or more things. */
export interface Timeline {
  /** The quantity and its unit. */
  label: string;
  lines: { name: string; values: readonly number[] }[];
}

const COLOURS = ["#2563eb", "#ea580c", "#16a34a", "#9333ea"];
const PANEL = { width: 380, height: 190, left: 64, top: 74, gap: 60 };
/** Distances of the marks on the axis of time, in minutes. */
const STEPS = [1, 2, 5, 10, 20, 30, 60];

/**
 * An SVG with one panel per quantity. All begin at zero, so that what is flat looks flat.
 *
 * @param seconds when each value was measured
 */
export function drawTimelines(
  title: string,
  seconds: readonly number[],
  timelines: readonly Timeline[],
): string {
  const width = PANEL.left + timelines.length * (PANEL.width + PANEL.gap);
  const height = PANEL.top + PANEL.height + 70;
  const panels = timelines.map((each, i) => panel(each, seconds, PANEL.left + i * (PANEL.width + PANEL.gap)));
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" font-family="Helvetica, Arial, sans-serif" font-size="11" fill="#1f2937">
<title>${title}</title>
<rect width="100%" height="100%" fill="#ffffff"/>
<text x="${PANEL.left}" y="28" font-size="16" font-weight="bold">${title}</text>
${panels.join("\n")}
</svg>
`;
}

function panel({ label, lines }: Timeline, seconds: readonly number[], left: number): string {
  const end = seconds.at(-1) ?? 1;
  const high = roundUp(Math.max(...lines.flatMap(({ values }) => values), 0) || 1);
  const x = (value: number) => left + (PANEL.width * value) / end;
  const y = (value: number) => PANEL.top + PANEL.height * (1 - value / high);
  const bottom = PANEL.top + PANEL.height;
  const minutes = STEPS.find((step) => end / 60 / step <= 8) ?? 120;
  const marks = Array.from({ length: Math.floor(end / 60 / minutes) + 1 }, (_, i) => i * minutes);
  return [
    `<text x="${left}" y="${PANEL.top - 10}">${label}</text>`,
    ...[0, 0.25, 0.5, 0.75, 1].map((share) => {
      const height = y(share * high).toFixed(1);
      return `<line x1="${left}" x2="${left + PANEL.width}" y1="${height}" y2="${height}" stroke="#e5e7eb"/><text x="${left - 6}" y="${height}" text-anchor="end" fill="#6b7280">${+(share * high).toPrecision(3)}</text>`;
    }),
    ...marks.map(
      (mark) =>
        `<text x="${x(60 * mark).toFixed(1)}" y="${bottom + 16}" text-anchor="middle" fill="#6b7280">${mark} min</text>`,
    ),
    ...lines.flatMap(({ name, values }, i) => {
      const colour = COLOURS[i % COLOURS.length];
      const points = values.map((value, at) => `${x(seconds[at]!).toFixed(1)},${y(value).toFixed(1)}`);
      const at = left + i * 110;
      return [
        `<polyline fill="none" stroke="${colour}" stroke-width="1.5" points="${points.join(" ")}"/>`,
        `<rect x="${at}" y="${bottom + 34}" width="14" height="4" fill="${colour}"/><text x="${at + 20}" y="${bottom + 40}">${name}</text>`,
      ];
    }),
  ].join("\n");
}

/** The next of 1, 2, 4 and 8 times a power of ten. */
function roundUp(value: number): number {
  const power = 10 ** Math.floor(Math.log10(value));
  return power * ([1, 2, 4, 8, 10].find((step) => step * power >= value) ?? 10);
}
