import type { Assumptions, Estimate } from "./estimate";
import { ASSUMED_TOKENS_PER_SECOND, HOURS_A_MONTH, type Price } from "./prices";

/** The estimate for a person: a table, what was assumed, and a numbered source for every price. */
export function render(stack: string, estimate: Estimate, assumptions: Assumptions): string {
  const sources = new Sources();
  const lines = estimate.lines.map(({ what, hour, month, price }) => [
    what,
    dollars(hour, 4),
    dollars(month, 2),
    sources.number(price),
  ]);
  const own = [
    ["all of this", "", dollars(estimate.perMillionTokens, 4), ""],
    ...estimate.hosted.map(({ name, price, breakEvenTokens }) => [
      name,
      breakEvenTokens === undefined ? "never" : `${billions(breakEvenTokens)} tokens a month`,
      dollars(price.usd, 4),
      sources.number(price),
    ]),
  ];
  const assumed = assumptions.tokensPerSecond === ASSUMED_TOKENS_PER_SECOND;
  return [
    `The stack ${stack}, on demand in us-east-1, in US dollars`,
    "",
    ...columns([
      ["", "an hour", `a month of ${HOURS_A_MONTH} h`, ""],
      ...lines,
      ["together", dollars(estimate.hour, 4), dollars(estimate.month, 2), ""],
    ]),
    "",
    ...columns([["For a million tokens", "costs the same at", "", ""], ...own]),
    "",
    `Throughput: ${estimate.tokensPerSecond.toLocaleString("en-US")} tokens/s, ` +
      `${assumptions.tokensPerSecond.toLocaleString("en-US")} a GPU, busy all of the ${assumptions.hours} hours a month that machines run.`,
    assumed
      ? "That is an assumption and no measurement: half of an A100's arithmetic, for any GPU. Measure with `npm run bench`, then give --tokens-per-second."
      : "The throughput is the one given by --tokens-per-second.",
    "Hosted prices are for each one's own model; only the first is the same model. Never: these GPUs do not do as many.",
    "",
    "Not in the sum:",
    ...estimate.leftOut.map((what) => `  - ${what}`),
    "",
    "Prices read from:",
    ...sources.list().map((line) => `  ${line}`),
    "",
  ].join("\n");
}

/** Numbers for sources, in the order in which they are first used. */
class Sources {
  private readonly known: string[] = [];

  number({ source, read }: Price): string {
    const line = `${source} (${read})`;
    if (!this.known.includes(line)) {
      this.known.push(line);
    }
    return `[${this.known.indexOf(line) + 1}]`;
  }

  list(): string[] {
    return this.known.map((line, index) => `[${index + 1}] ${line}`);
  }
}

function dollars(value: number, digits: number): string {
  return value.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

function billions(tokens: number): string {
  return `${(tokens / 1e9).toLocaleString("en-US", { maximumFractionDigits: 1 })} billion`;
}

/** The first column to the left, the others to the right. */
function columns(rows: string[][]): string[] {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  return rows.map((row) =>
    row
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[0]!) : cell.padStart(widths[column]!)))
      .join("  ")
      .trimEnd(),
  );
}
