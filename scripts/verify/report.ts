import type { Row } from "./row";

export interface Summary {
  ok: boolean;
  passed: number;
  failed: number;
  skipped: number;
}

export function summarize(rows: Row[]): Summary {
  const count = (ok: boolean | null) => rows.filter((row) => row.ok === ok).length;
  const failed = count(false);
  return { ok: failed === 0 && rows.length > 0, passed: count(true), failed, skipped: count(null) };
}

/** An aligned table of the rows, and the counts in the last line. */
export function formatTable(rows: Row[]): string {
  const width = Math.max(0, ...rows.map(({ name }) => name.length));
  const lines = rows.flatMap(({ name, ok, evidence, next, warning }) => [
    `${warning ? "!" : mark(ok)} ${name.padEnd(width)}  ${evidence}`,
    ...(next ? [`  ${" ".repeat(width)}  → ${next}`] : []),
  ]);
  const { passed, failed, skipped } = summarize(rows);
  const warned = rows.filter(({ warning }) => warning).length;
  const counts = `${passed} passed${warned ? ` (${warned} with a warning)` : ""}, ${failed} failed, ${skipped} skipped`;
  return [...lines, "", counts, ""].join("\n");
}

/** One JSON document. */
export function formatJson(rows: Row[], about: object): string {
  return `${JSON.stringify({ ...about, ...summarize(rows), rows }, null, 2)}\n`;
}

function mark(ok: boolean | null): string {
  if (ok === null) {
    return "–";
  }
  return ok ? "✓" : "✗";
}
