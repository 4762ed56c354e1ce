import { build, type Histogram } from "hdr-histogram-js";

/** Maximum of the histogram in microseconds: an hour. */
const LONGEST_MICROSECONDS = 3_600_000_000;
const RESAMPLES = 2000;

/** A histogram of latencies with three significant figures. */
export class Latencies {
  readonly #histogram: Histogram = build({
    lowestDiscernibleValue: 1,
    highestTrackableValue: LONGEST_MICROSECONDS,
    numberOfSignificantValueDigits: 3,
  });

  /** @param milliseconds at least 0 */
  add(milliseconds: number): void {
    const microseconds = Math.max(1, Math.round(milliseconds * 1000));
    this.#histogram.recordValue(Math.min(microseconds, LONGEST_MICROSECONDS));
  }

  get count(): number {
    return this.#histogram.totalCount;
  }

  /** Milliseconds within which this share (0 to 1) of requests got a reply; NaN without any. */
  quantile(share: number): number {
    return this.count === 0 ? Number.NaN : this.#histogram.getValueAtPercentile(100 * share) / 1000;
  }
}

/** The quantile (0 to 1) of sorted values, interpolated linearly between neighbours; NaN without values. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  const position = share * (sorted.length - 1);
  const below = sorted[Math.floor(position)] ?? Number.NaN;
  const above = sorted[Math.ceil(position)] ?? Number.NaN;
  return below + (above - below) * (position - Math.floor(position));
}

export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

/** A median of repeated measurements, and its confidence. */
export interface Spread {
  median: number;
  /** Quartiles of the measurements. */
  quartiles: [number, number];
  /** 95 % interval of the median, by bootstrap. */
  interval: [number, number];
  count: number;
}

/** Percentile bootstrap of the median (Efron), with a fixed seed: the same measurements give the same interval. */
export function spread(values: readonly number[]): Spread {
  const random = generator(1);
  const medians = Array.from({ length: RESAMPLES }, () =>
    median(Array.from(values, () => values[Math.floor(random() * values.length)] as number)),
  );
  return {
    median: median(values),
    quartiles: [quantile(values, 0.25), quantile(values, 0.75)],
    interval: [quantile(medians, 0.025), quantile(medians, 0.975)],
    count: values.length,
  };
}

/** Numbers from 0 up to 1, determined by a seed (mulberry32). */
export function generator(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/**
 * Arrival times of requests, in milliseconds from the start: a Poisson process, as for independent clients. They are
 * determined in advance, so that a slow server does not get fewer requests.
 */
export function arrivals(perSecond: number, seconds: number, random: () => number): number[] {
  const times: number[] = [];
  for (let at = 0; ; ) {
    at += (-Math.log(1 - random()) * 1000) / perSecond;
    if (at >= seconds * 1000) {
      return times;
    }
    times.push(at);
  }
}
