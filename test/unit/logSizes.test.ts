import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { JOURNALS } from "../../components/bundle/systemd/journals";
import { ROOT } from "../../scripts/lib/paths";
import { BYTES } from "../machine/logSizes";

const SECONDS: Record<string, number> = { minutes: 60, hours: 3600, days: 86_400 };
/** journald multiplies the rate limit by this where much space is free, and counts in windows of 30 seconds. */
const [MOST_BURSTS, WINDOW] = [5, 30];

const page = readFileSync(join(ROOT, "docs", "reference", "machine.md"), "utf8");
const { requests, unauthenticated } = JOURNALS;

it("states the sizes that the machine layer measures, and the limits that journald is given", () => {
  for (const size of Object.values(BYTES)) {
    expect(page).toContain(`${size.toLocaleString("en")} bytes`);
  }
  for (const { namespace, maxUse } of Object.values(JOURNALS)) {
    const [amount, unit] = [maxUse.slice(0, -1), maxUse.slice(-1)];
    expect(page).toMatch(new RegExp(`^\\| \`${namespace}\` \\|.*\\| ${amount} ${unit}iB \\|`, "m"));
  }
});

it("states after which time each journal is full", () => {
  const rows = [...page.matchAll(/^\| ([\d,]+) \| ([\d.]+) (minutes|hours|days) \|$/gm)];
  expect(rows.map(([, rate]) => rate)).toEqual(["1", "10", "100", "1,000"]);
  for (const [, rate, amount, unit] of rows) {
    const bytes = BYTES.request * Number(rate!.replace(",", ""));
    expect((Number(amount) * SECONDS[unit!]!) / (sizeOf(requests.maxUse) / bytes)).toBeCloseTo(1, 1);
  }
  const [, lines, minutes] = /at most (\d+) lines per second, which fill it in (\d+) minutes/.exec(page)!;
  expect(Number(lines)).toBe(Math.round((unauthenticated.burst * MOST_BURSTS) / WINDOW));
  const bytes = BYTES.unauthenticated * Number(lines);
  expect((Number(minutes) * 60) / (sizeOf(unauthenticated.maxUse) / bytes)).toBeCloseTo(1, 1);
});

/** In bytes. */
function sizeOf(maxUse: string): number {
  return Number(maxUse.slice(0, -1)) * 1024 ** (maxUse.endsWith("G") ? 3 : 2);
}
