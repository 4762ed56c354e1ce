import type { Window } from "./load";
import { Latencies, type Spread, spread } from "./statistics";

/** What one endpoint did in one or more windows. */
export interface Summary {
  requests: number;
  /** By status or error code, of what did not return 200. */
  errors: Record<string, number>;
  seconds: number;
  requestsPerSecond: number;
  tokensPerSecond: number;
  megabytesPerSecond: number;
  /** Processor time of the endpoint's processes for one request, in milliseconds; NaN where it is not counted. */
  cpuMilliseconds: number;
  p50: number;
  p95: number;
  p99: number;
  latencies: Latencies;
}

/** Latencies and rates are of what returned 200. */
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

/** One endpoint against another that was measured in turns with it. */
export interface Comparison {
  /** Of requests a second; above 1: the first is faster. */
  rate: Spread;
  /** Of median latencies; below 1: the first is faster. */
  latency: Spread;
  /** Between median latencies, in milliseconds; below 0: the first is faster. */
  added: Spread;
  /** Of processor time a request, and between them in milliseconds, where it is counted. */
  cpu?: { ratio: Spread; added: Spread };
}

/**
 * By pairs of neighbouring windows, one of each endpoint: what slows the machine for longer than a window slows both of
 * a pair.
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
