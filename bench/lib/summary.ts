import type { Window } from "./load";
import { Latencies, type Spread, spread } from "./statistics";

/** The results of one endpoint in one or more windows. */
export interface Summary {
  requests: number;
  /** Failed requests by status or error code. */
  errors: Record<string, number>;
  seconds: number;
  requestsPerSecond: number;
  tokensPerSecond: number;
  megabytesPerSecond: number;
  /** Processor time of the endpoint's processes per request, in milliseconds; NaN if it is not measured. */
  cpuMilliseconds: number;
  p50: number;
  p95: number;
  p99: number;
  latencies: Latencies;
}

/** Latencies and rates are of requests that returned 200. */
export function summarize(windows: readonly Window[]): Summary {
  const latencies = new Latencies();
  const errors: Record<string, number> = {};
  let requests = 0;
  let tokens = 0;
  let bytes = 0;
  for (const outcome of windows.flatMap(({ outcomes }) => outcomes)) {
    requests += 1;
    if (outcome.status === 200) {
      latencies.add(outcome.milliseconds);
      tokens += outcome.tokens;
      bytes += outcome.bytes;
    } else {
      errors[outcome.status] = (errors[outcome.status] ?? 0) + 1;
    }
  }
  const seconds = windows.reduce((sum, window) => sum + window.seconds, 0);
  return {
    requests,
    errors,
    seconds,
    requestsPerSecond: latencies.count / seconds,
    tokensPerSecond: tokens / seconds,
    megabytesPerSecond: bytes / seconds / 1e6,
    cpuMilliseconds:
      (1000 * windows.reduce((sum, window) => sum + (window.cpuSeconds ?? Number.NaN), 0)) / latencies.count,
    p50: latencies.quantile(0.5),
    p95: latencies.quantile(0.95),
    p99: latencies.quantile(0.99),
    latencies,
  };
}

/** One endpoint compared with another that was measured in alternation with it. */
export interface Comparison {
  /** Ratio of requests per second; above 1: the first is faster. */
  rate: Spread;
  /** Ratio of median latencies; below 1: the first is faster. */
  latency: Spread;
  /** Difference of median latencies, in milliseconds; below 0: the first is faster. */
  added: Spread;
  /** Ratio and difference of processor time per request, in milliseconds, if it is measured. */
  cpu?: { ratio: Spread; added: Spread };
}

/**
 * By pairs of neighbouring windows, one of each endpoint: what slows the computer for longer than a window affects both
 * windows of a pair.
 */
export function compare(first: readonly Window[], second: readonly Window[]): Comparison {
  const pairs = first.slice(0, second.length).map((window, i) => {
    return [summarize([window]), summarize([second[i] as Window])] as const;
  });
  const whole = pairs.filter((pair) => pair.every(({ latencies }) => latencies.count > 0));
  return {
    rate: spread(whole.map(([a, b]) => a.requestsPerSecond / b.requestsPerSecond)),
    latency: spread(whole.map(([a, b]) => a.p50 / b.p50)),
    added: spread(whole.map(([a, b]) => a.p50 - b.p50)),
    ...(whole.some(([a]) => a.cpuMilliseconds >= 0) && {
      cpu: {
        ratio: spread(whole.map(([a, b]) => a.cpuMilliseconds / b.cpuMilliseconds)),
        added: spread(whole.map(([a, b]) => a.cpuMilliseconds - b.cpuMilliseconds)),
      },
    }),
  };
}
