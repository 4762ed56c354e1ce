import { NEXT_MARK, WARNING_MARK } from "../verify/report";

/**
 * The warnings of `verify` in the engine's output, each with what to do about it. The engine prints the table line by
 * line, indented, and may print it twice.
 */
export function warningsIn(printed: string): string[] {
  const lines = printed.split("\n").map((line) => line.trim());
  const found = lines.flatMap((line, i) => {
    if (!line.startsWith(`${WARNING_MARK} `)) {
      return [];
    }
    const next = lines[i + 1]?.startsWith(`${NEXT_MARK} `) ? [`    ${lines[i + 1]}`] : [];
    return [[`  ${line.replace(/ {2,}/g, "  ")}`, ...next].join("\n")];
  });
  return [...new Set(found)];
}
