/** What was measured, for whoever reads the run. */
export function report(about: string, figures: Record<string, unknown>): void {
  console.log(`measured: ${about}: ${JSON.stringify(figures)}`);
}

/** The spread of some seconds. */
export function range(values: number[]): string {
  const sorted = [...values].sort((a, b) => a - b);
  const [least, median, most] = [0, Math.floor(sorted.length / 2), sorted.length - 1].map((at) =>
    sorted[at]?.toFixed(1),
  );
  return `${least} to ${most}, median ${median}`;
}
