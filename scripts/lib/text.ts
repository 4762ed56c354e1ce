/** An error in one line, with the code that distinguishes network errors. */
export function describeError(error: unknown): string {
  const { message, code } = error as { message?: string; code?: string };
  const text = message || String(error);
  return code && !text.includes(code) ? `${code}: ${text}` : text;
}

/** The start of a text, in one line. */
export function excerpt(text: string, length = 160): string {
  const line = text.replace(/\s+/g, " ").trim();
  return line.length > length ? `${line.slice(0, length)}…` : line;
}
