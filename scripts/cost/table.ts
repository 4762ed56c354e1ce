import type { Assumptions, Estimate } from "./estimate";
import { ASSUMED_TOKENS_PER_SECOND, HOURS_A_MONTH, type Price } from "./prices";

/** The estimate as a table, with the assumptions and a numbered source for every price. */
export function render(stack: string, estimate: Estimate, assumptions: Assumptions): string {
  const sources = new Sources();
  const lines = estimate.lines.map(({ what, hour, month, price }) => [
    what,
    dollars(hour, 4),
    dollars(month, 2),
    sources.number(price),
  ]);
  const own = [
    ["this stack", "", dollars(estimate.perMillionTokens, 4), ""],
    ...estimate.hosted.map(({ name, price, breakEvenTokens }) => [
      name,
      breakEvenTokens === undefined ? "never" : `${billions(breakEvenTokens)} tokens per month`,
      dollars(price.usd, 4),
      sources.number(price),
    ]),
  ];
  const assumed = assumptions.tokensPerSecond === ASSUMED_TOKENS_PER_SECOND;
  return [
    `The stack ${stack}, on demand in us-east-1, in US dollars`,
    "",
    ...columns([
      ["", "per hour", `per month (${HOURS_A_MONTH} h)`, ""],
      ...lines,
      ["total", dollars(estimate.hour, 4), dollars(estimate.month, 2), ""],
    ]),
    "",
    ...columns([["Per million tokens", "same cost at", "", ""], ...own]),
    "",
    `Throughput: ${estimate.tokensPerSecond.toLocaleString("en-US")} tokens/s, ` +
      `${assumptions.tokensPerSecond.toLocaleString("en-US")} per GPU, busy for all ${assumptions.hours} hours per month that instances run.`,
    assumed
      ? "This is an assumption, not a measurement: half of an A100's peak, for any GPU. Measure with `npm run bench`, then give --tokens-per-second."
      : "The throughput is the one given by --tokens-per-second.",
    "Each hosted price is for the service's own model; only the first is the same model. Never: these GPUs cannot process that many.",
    "",
    "Not included:",
    ...estimate.leftOut.map((what) => `  - ${what}`),
    "",
    "Sources of the prices:",
    ...sources.list().map((line) => `  ${line}`),
    "",
  ].join("\n");
}

/** Numbers of the sources, in the order of their first use. */
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

/** Aligns the first column to the left and the others to the right. */
function columns(rows: string[][]): string[] {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  return rows.map((row) =>
    row
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[0]!) : cell.padStart(widths[column]!)))
      .join("  ")
      .trimEnd(),
  );
}
