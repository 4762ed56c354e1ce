import { type Context, withJsonError } from "../lib/commandLine";
import type { Row } from "./row";

/** Begins the line of a warning in the table. `rotate` finds them by it. */
export const WARNING_MARK = "!";
/** Begins what to do about a row, in the line after it. */
export const NEXT_MARK = "→";

interface Summary {
  ok: boolean;
  passed: number;
  failed: number;
  /** Failed rows that do not fail the run. */
  warnings: number;
  skipped: number;
}

function summarize(rows: Row[]): Summary {
  const count = (ok: boolean | null, warning = false) =>
    rows.filter((row) => row.ok === ok && (row.warning ?? false) === warning).length;
  const failed = count(false);
  return {
    ok: failed === 0 && rows.length > 0,
    passed: count(true),
    failed,
    warnings: count(false, true),
    skipped: count(null),
  };
}

/** An aligned table of the rows, and the counts in the last line. @param why why warnings do not fail the run */
export function formatTable(rows: Row[], why?: string): string {
  const width = Math.max(0, ...rows.map(({ name }) => name.length));
  const lines = rows.flatMap((row) => [
    `${mark(row)} ${row.name.padEnd(width)}  ${oneLine(row.evidence)}`,
    ...(row.next ? [`  ${" ".repeat(width)}  ${NEXT_MARK} ${oneLine(row.next)}`] : []),
  ]);
  const { passed, failed, warnings, skipped } = summarize(rows);
  const counts = [
    `${passed} passed`,
    `${failed} failed`,
    ...(warnings > 0 ? [`${warnings} warned`] : []),
    `${skipped} skipped`,
  ];
  const explained =
    warnings > 0 && why
      ? [`${warnings} ${warnings === 1 ? "warning" : "warnings"}, marked ${WARNING_MARK}: ${why}`]
      : [];
  return [...lines, "", ...explained, counts.join(", "), ""].join("\n");
}

/** What a command prints. */
export interface Report {
  rows: Row[];
  /** What the rows are about, for the JSON document. */
  about: object;
}

/**
 * Prints rows, or as JSON an error too, and sets the exit status.
 *
 * @param why why warnings do not fail the run
 */
export async function reportRows(
  context: Context,
  json: boolean | undefined,
  make: () => Promise<Report>,
  why?: string,
): Promise<void> {
  await withJsonError(context, json, async () => {
    const { rows, about } = await make();
    context.out(json ? formatJson(rows, about) : formatTable(rows, why));
    context.status = summarize(rows).ok ? 0 : 1;
  });
}

/** One JSON document. */
function formatJson(rows: Row[], about: object): string {
  const whole = rows.map((row) => ({ ...row, warning: row.warning ?? false }));
  return `${JSON.stringify({ ...about, ...summarize(rows), rows: whole }, null, 2)}\n`;
}

/** Programs on the instance print errors of several lines. */
function oneLine(text: string): string {
  return text.trim().replace(/\s*\n\s*/g, "; ");
}

function mark({ ok, warning }: Row): string {
  if (ok === null) {
    return "–";
  }
  if (warning) {
    return WARNING_MARK;
  }
  return ok ? "✓" : "✗";
}
