/** Prints what was measured. */
export function report(about: string, figures: Record<string, unknown>): void {
  console.log(`measured: ${about}: ${JSON.stringify(figures)}`);
}

/** The range of some durations in seconds. */
export function range(values: number[]): string {
  const sorted = [...values].sort((a, b) => a - b);
  const [least, median, most] = [0, Math.floor(sorted.length / 2), sorted.length - 1].map((at) =>
    sorted[at]?.toFixed(1),
  );
  return `${least} to ${most}, median ${median}`;
}
