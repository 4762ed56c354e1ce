import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { drawCurves, slope } from "../../bench/growth/curves";
import { draw } from "../../bench/lib/chart";
import { run } from "../../bench/lib/load";
import { promptTokens, Sender, type Shape } from "../../bench/lib/sender";
import { arrivals, generator, Latencies, quantile, spread } from "../../bench/lib/statistics";
import { compare, summarize } from "../../bench/lib/summary";
import { Texts, wordsFor } from "../../bench/lib/texts";
import { drawTimelines } from "../../bench/lib/timelines";
import { runCommand as benchCommand } from "../../bench/run/command";
import { type Certificates, makeCertificates } from "./fakes/certificates";
import { FakeEndpoint, MODEL } from "./fakes/endpoint";
import { runCommand } from "./fakes/environment";

// Not in the format of the project's keys, so that only the key that was read can be redacted.
const KEY = "SENTINEL0b1c2d3e4f506172SENTINEL0b1c2d3e4f506172";
const SHAPE: Shape = { batch: 1, tokens: 8, format: "float" };
const ANSWER = JSON.stringify({ data: [{ index: 0, embedding: [1] }], usage: { prompt_tokens: 8 } });

describe("statistics", () => {
  test("interpolates quantiles of known values", () => {
    expect(quantile([4, 1, 3, 2], 0.5)).toBe(2.5);
    expect(quantile([4, 1, 3, 2], 0.25)).toBe(1.75);
    expect(quantile([7], 0.99)).toBe(7);
    expect(quantile([], 0.5)).toBeNaN();
  });

  test("a histogram has the percentiles of 1 to 1000 ms to three significant figures", () => {
    const latencies = new Latencies();
    for (let ms = 1; ms <= 1000; ms++) {
      latencies.add(ms);
    }
    expect(latencies.quantile(0.5)).toBeCloseTo(500, -0.5);
    expect(latencies.quantile(0.95) / 950).toBeCloseTo(1, 2);
    expect(latencies.quantile(0.99) / 990).toBeCloseTo(1, 2);
    expect(new Latencies().quantile(0.5)).toBeNaN();
  });

  test("a bootstrap interval covers the true median about 95 times in 100", () => {
    const random = generator(7);
    const samples = Array.from({ length: 100 }, () => Array.from({ length: 25 }, random));
    const covered = samples.filter((values) => {
      const [low, high] = spread(values).interval;
      return low <= 0.5 && 0.5 <= high;
    });
    expect(covered.length).toBeGreaterThanOrEqual(88);
    expect(covered.length).toBeLessThan(100);
    expect(spread([2, 2, 2])).toEqual({ median: 2, quartiles: [2, 2], interval: [2, 2], count: 3 });
  });

  test("arrivals are a Poisson process: the requested rate, and gaps whose standard deviation is their mean", () => {
    const times = arrivals(100, 200, generator(3));
    const gaps = times.map((time, i) => time - (times[i - 1] ?? 0));
    const mean = gaps.reduce((sum, gap) => sum + gap, 0) / gaps.length;
    const deviation = Math.sqrt(gaps.reduce((sum, gap) => sum + (gap - mean) ** 2, 0) / gaps.length);
    expect(mean).toBeCloseTo(10, 0);
    expect(deviation / mean).toBeCloseTo(1, 1);
    expect(times.at(-1)).toBeLessThan(200_000);
  });

  test("two endpoints are compared by pairs, so that a drift of both has no effect", () => {
    const window = (ms: number, count: number) => ({
      seconds: 1,
      outcomes: Array.from({ length: count }, () => outcome(ms)),
    });
    const slowing = [1, 2, 4, 8];
    const { rate, latency, added } = compare(
      slowing.map((times) => window(10 * times, 160 / times)),
      slowing.map((times) => window(5 * times, 320 / times)),
    );
    expect(rate.median).toBeCloseTo(0.5);
    expect(rate.interval).toEqual([0.5, 0.5]);
    expect(compare([window(1, 2)], [window(1, 2)]).cpu).toBeUndefined();
    const { cpu } = compare(
      [{ ...window(1, 2), cpuSeconds: 0.006 }],
      [{ ...window(1, 2), cpuSeconds: 0.004 }],
    );
    expect(cpu?.ratio.median).toBeCloseTo(1.5);
    expect(cpu?.added.median).toBeCloseTo(1);
    expect(latency.median).toBeCloseTo(2, 2);
    expect(added.median).toBeGreaterThan(0);
  });

  test("failures are counted by status, and excluded from latencies and rates", () => {
    const outcomes = [
      outcome(10),
      outcome(20),
      { ...outcome(1), status: 429 },
      { ...outcome(1), status: "ECONNREFUSED" },
    ];
    const summary = summarize([{ seconds: 2, outcomes }]);
    expect(summary).toMatchObject({
      requests: 4,
      errors: { 429: 1, ECONNREFUSED: 1 },
      requestsPerSecond: 1,
      tokensPerSecond: 8,
    });
    expect(summary.p50).toBeCloseTo(10, 1);
  });
});

describe("load", () => {
  test("an open loop sends on time and counts the wait, so a server that stalls is measured as stalling", async () => {
    // One response after the other, 20 ms each, while 100 per second are requested: the queue grows.
    let busy: Promise<void> = Promise.resolve();
    const url = await serve(async () => {
      busy = busy.then(() => sleep(20));
      await busy;
      return [200, ANSWER];
    });
    const window = await load(url, { rate: 100 }, 1);
    const due = window.outcomes.map(({ at }) => at).sort((a, b) => a - b);
    expect(due.length).toBeGreaterThan(60);
    expect(due.at(-1)).toBeLessThan(1000);
    const last = window.outcomes.reduce((a, b) => (a.at > b.at ? a : b));
    expect(last.milliseconds).toBeGreaterThan(400);
    expect(window.seconds).toBeGreaterThan(1.3);
  });

  test("a closed loop sends no more requests at a time than it has connections, and each text once", async () => {
    let now = 0;
    let most = 0;
    const seen = new Set<string>();
    let count = 0;
    const url = await serve(async (body) => {
      most = Math.max(most, ++now);
      count += 1;
      seen.add((JSON.parse(body) as { input: string }).input);
      await sleep(5);
      now -= 1;
      return [200, ANSWER];
    });
    const window = await load(url, { connections: 3 }, 0.3);
    expect(most).toBe(3);
    expect(window.outcomes).toHaveLength(count);
    expect(seen.size).toBe(count);
    expect(summarize([window])).toMatchObject({ errors: {} });
  });

  test("a server that is not running is an error, without a busy loop", async () => {
    const window = await load("http://127.0.0.1:1/v1", { connections: 2 }, 0.25);
    const { errors, requests } = summarize([window]);
    expect(errors).toEqual({ ECONNREFUSED: requests });
    expect(requests).toBeLessThan(10);
  });

  test("texts have the requested length by the endpoint's tokenizer", async () => {
    const count = async (text: string) => text.length + 1;
    const words = await wordsFor(512, count, generator(1));
    const lengths = Array.from({ length: 50 }, () => {
      return (JSON.parse(new Texts(words, Math.random).input(1)) as string).length + 1;
    });
    const mean = lengths.reduce((sum, length) => sum + length, 0) / lengths.length;
    expect(mean / 512).toBeCloseTo(1, 1);
  });

  test("tokens are read from usage, wherever it is in the response", () => {
    expect(promptTokens(Buffer.from(ANSWER))).toBe(8);
    const first = JSON.stringify({ usage: { prompt_tokens: 3 }, data: "x".repeat(2000) });
    expect(promptTokens(Buffer.from(first))).toBe(3);
    expect(promptTokens(Buffer.from("{}"))).toBe(0);
  });
});

describe("the command", () => {
  let certificates: Certificates;
  let folder: string;

  beforeAll(() => {
    certificates = makeCertificates("IP:127.0.0.1");
    folder = mkdtempSync(join(tmpdir(), "qwen3-bench-"));
    writeFileSync(join(folder, "ca.pem"), certificates.ca);
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  async function endpoint(key = KEY): Promise<string> {
    const fake = new FakeEndpoint(certificates, key);
    onTestFinished(() => fake.close());
    return fake.listen();
  }

  async function bench(url: string, ...more: string[]) {
    const env = {
      EMBEDDING_API_KEY: KEY,
      EMBEDDING_CA_FILE: join(folder, "ca.pem"),
      COMPARE_API_KEY: KEY,
      COMPARE_CA_FILE: join(folder, "ca.pem"),
    };
    const args = ["--url", url, "--model", MODEL, "--tokens", "32", "--seconds", "1", "--connections", "2"];
    const { status, stdout, stderr } = await runCommand(benchCommand, [...args, ...more], env);
    return { status, out: stdout, err: stderr };
  }

  test("measures two endpoints over TLS in alternation, and writes a chart and the figures", async () => {
    const svg = join(folder, "a.svg");
    const json = join(folder, "a.json");
    const { status, out, err } = await bench(
      ...([await endpoint(), "--compare", await endpoint(), "--windows", "2"] as const),
      ...["--batch", "1,3", "--format", "base64", "--json", json, "--svg", svg],
    );
    expect(err).toBe("");
    expect(status).toBe(0);
    expect(out).toMatch(/1 × 32 base64: .* medians of 2 pairs/);
    const { results } = JSON.parse(readFileSync(json, "utf8"));
    expect(results).toHaveLength(2);
    for (const { summaries } of results) {
      expect(summaries).toHaveLength(2);
      expect(summaries[0].requests).toBeGreaterThan(5);
      expect(summaries[0].tokensPerSecond).toBeGreaterThan(0);
    }
    expect(readFileSync(join(folder, "a-2.svg"), "utf8")).toContain("Latency of 3 × 32 base64");
    expect(out + readFileSync(json, "utf8")).not.toContain(KEY);
  });

  test("reports what the endpoint returned if it does not serve", async () => {
    const { status, out, err } = await bench(await endpoint("another"));
    expect(status).toBe(1);
    expect(err).toMatch(/^bench: the endpoint returned 401/);
    expect(out + err).not.toContain(KEY);
  });

  test.each([
    [[], /neither --stack NAME nor --url URL is set/],
    [["--url", "http://example.com/v1"], /--url is "http:\/\/example.com\/v1"; allowed: https/],
    [["--url", "https://user:secret@example.com/v1"], /--url is/],
    [["--stack", "a", "--tokens", "0"], /--tokens is "0"; allowed: a whole number from 1 to 32768/],
    [
      ["--stack", "a", "--batch", "1,2049"],
      /--batch is "1,2049"; allowed: a whole number from 1 to 2048, or several/,
    ],
    [["--stack", "a", "--format", "int8"], /--format is "int8"; allowed: float, base64/],
    [
      ["--stack", "a", "--rate", "5", "--connections", "2"],
      /'--rate <n>' cannot be used with option '--connections <n>'/,
    ],
    [["--stack", "a", "--windows", "2"], /require --compare/],
    [["--stack", "a", "--key", KEY], /unknown option/],
  ])("rejects %j", async (args, message) => {
    const { status, stderr } = await runCommand(benchCommand, args as string[]);
    expect(status).toBe(2);
    expect(stderr).toMatch(message as RegExp);
    expect(stderr).toMatch(/^bench: .*\n$/);
  });
});

test("growth is the exponent of the cost: 1 is linear, 0 is constant", () => {
  const curve = (cost: (x: number) => number) => ({
    name: "",
    label: "",
    points: [1, 10, 100, 1000].map((x) => ({ x, cost: spread([cost(x)]) })),
  });
  expect(slope(curve((x) => 3 * x))).toBeCloseTo(1);
  expect(slope(curve(() => 5))).toBeCloseTo(0);
  expect(slope(curve((x) => x * x))).toBeCloseTo(2);
  expect(drawCurves([curve((x) => x), curve(() => 2)])).not.toMatch(/NaN|Infinity|undefined/);
});

test("timelines begin at zero and end at the last value", () => {
  const values = [100, 120, 110];
  const svg = drawTimelines("Memory", [10, 20, 30], [{ label: "MB", lines: [{ name: "x", values }] }]);
  const points = [...svg.match(/points="([^"]+)"/)![1]!.matchAll(/([\d.]+),([\d.]+)/g)];
  expect(points.map((point) => Number(point[1]))).toEqual(
    [64 + 380 / 3, 64 + 760 / 3, 64 + 380].map((x) => +x.toFixed(1)),
  );
  // 120 of 200, in a panel of 190 that begins at 74.
  expect(Number(points[1]![2])).toBeCloseTo(74 + 190 * 0.4, 0);
  expect(drawTimelines("", [], [{ label: "", lines: [{ name: "", values: [] }] }])).not.toMatch(
    /NaN|Infinity|undefined/,
  );
});

test("the chart is complete without any response, and names are escaped", () => {
  const svg = draw({
    title: "<a & b>",
    subtitle: "",
    series: [{ name: "x", windows: [{ seconds: 1, outcomes: [{ ...outcome(1), status: 500 }] }] }],
  });
  expect(svg).toContain("&lt;a &amp; b&gt;");
  expect(svg).not.toMatch(/NaN|Infinity|undefined/);
});

function outcome(milliseconds: number) {
  return { at: 0, milliseconds, status: 200 as number | string, tokens: 8, bytes: 10 };
}

async function load(url: string, pace: Parameters<typeof run>[3], seconds: number) {
  const sender = new Sender(
    { name: "fake", url, model: MODEL },
    "rate" in pace ? 1000 : (pace.connections as number),
  );
  onTestFinished(() => sender.close());
  return run(sender, new Texts(5, generator(1)), SHAPE, pace, seconds, generator(2));
}

/** A server on loopback that returns what `answer` returns. */
async function serve(answer: (body: string) => Promise<[number, string]>): Promise<string> {
  const server: Server = createServer(async (request, reply) => {
    let body = "";
    for await (const part of request.setEncoding("utf8")) {
      body += part;
    }
    const [status, text] = await answer(body);
    reply.writeHead(status, { "content-type": "application/json" }).end(text);
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`;
}
