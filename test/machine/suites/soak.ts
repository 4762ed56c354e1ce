import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, it } from "vitest";
import { median, quantile } from "../../../bench/lib/statistics";
import { drawTimelines } from "../../../bench/lib/timelines";
import { CACHE, ROOT } from "../../../scripts/lib/paths";
import type { BootedMachine } from "../container";
import { report } from "../report";
import { PROGRAMS, type Program, type Usage, usage } from "../usage";

/** Two hours by default; 10 while you work on the worker. */
const MINUTES = Number(process.env.QWEN3_SOAK_MINUTES || 120);
const STEP_SECONDS = Math.max(10, MINUTES / 2);
/** Only the complete run is documentation. */
const PICTURE = MINUTES >= 120 ? join(ROOT, "docs/evidence/img/soak.svg") : join(CACHE, "soak.svg");

interface Traffic {
  name: string;
  /** Name of the client whose key is sent; undefined for the first one. */
  client?: string;
  authorization?: string;
  pauseMs: number;
  /** The request without its model, by its number. */
  body: (count: number) => Record<string, unknown>;
  statuses: number[];
}

/** Requests of every kind, each sent by one connection after the response to the one before. */
const TRAFFIC: Traffic[] = [
  { name: "a text", pauseMs: 100, body: (n) => ({ input: `text ${n}` }), statuses: [200] },
  { name: "64 texts", pauseMs: 2000, body: (n) => ({ input: Array(64).fill(`text ${n}`) }), statuses: [200] },
  {
    name: "texts with an instruction",
    pauseMs: 3000,
    body: (n) => ({ input: Array(200).fill(`text ${n}`), instruction: "find ".repeat(50), dimensions: 256 }),
    statuses: [200],
  },
  { name: "a long text", pauseMs: 5000, body: (n) => ({ input: `${n} `.repeat(1500) }), statuses: [200] },
  {
    name: "a text that is too long",
    client: "search",
    pauseMs: 2000,
    body: (n) => ({ input: "😀".repeat(100_000 + (n % 100) * 10_000) }),
    statuses: [400],
  },
  {
    name: "millions of empty lists",
    client: "search",
    pauseMs: 5000,
    body: () => ({ input: Array(1_000_000).fill([]) }),
    statuses: [400],
  },
  { name: "an unknown field", client: "search", pauseMs: 500, body: () => ({ rid: "x" }), statuses: [400] },
  {
    name: "a wrong key",
    authorization: "Bearer wrong",
    pauseMs: 500,
    body: (n) => ({ input: `text ${n}` }),
    statuses: [401],
  },
];

interface Sample {
  seconds: number;
  usage: Record<Program, Usage>;
  /** Of single texts since the sample before, in milliseconds. */
  p50: number;
  p95: number;
}

/** Hours of mixed traffic: memory, open files and latency remain what they were. */
export function soak(machine: () => BootedMachine): void {
  it(
    `keeps its memory, files and latency in ${MINUTES} minutes of mixed traffic`,
    async () => {
      const box = machine();
      const before = await box.servingPids();
      const mixed = new Mixed(box);
      const samples = await observe(box, mixed);
      await mixed.end();
      draw(samples);
      report(`soak of ${MINUTES} minutes`, {
        requests: Object.fromEntries(mixed.counts),
        "second quarter": summary(quarter(samples, 1)),
        "last quarter": summary(quarter(samples, 3)),
        picture: PICTURE,
      });
      expect(mixed.unexpected).toEqual([]);
      expect(await box.servingPids()).toBe(before);
      // In the first quarter caches fill, and Python and nginx reach the memory that they keep.
      const [then, now] = [summary(quarter(samples, 1)), summary(quarter(samples, 3))];
      for (const program of PROGRAMS) {
        expect(now[program].megabytes, program).toBeLessThan(1.05 * then[program].megabytes + 20);
        expect(now[program].files, program).toBeLessThan(then[program].files + 10);
      }
      expect(now.p50).toBeLessThan(1.3 * then.p50 + 5);
      expect(now.p95).toBeLessThan(1.5 * then.p95 + 20);
    },
    (MINUTES + 10) * 60_000,
  );
}

async function observe(box: BootedMachine, mixed: Mixed): Promise<Sample[]> {
  const begin = Date.now();
  const samples: Sample[] = [];
  while (Date.now() - begin < MINUTES * 60_000) {
    await sleep(STEP_SECONDS * 1000);
    const times = mixed.takeTimes();
    samples.push({
      seconds: (Date.now() - begin) / 1000,
      usage: await usage(box),
      p50: median(times),
      p95: quantile(times, 0.95),
    });
  }
  return samples;
}

function quarter(samples: readonly Sample[], index: number): Sample[] {
  return samples.slice((index * samples.length) / 4, ((index + 1) * samples.length) / 4);
}

/** The medians of some samples. */
function summary(samples: readonly Sample[]) {
  const of = (value: (sample: Sample) => number) => Math.round(10 * median(samples.map(value))) / 10;
  const program = (name: Program) => ({
    megabytes: of((sample) => sample.usage[name].megabytes),
    files: of((sample) => sample.usage[name].files),
  });
  return {
    ...(Object.fromEntries(PROGRAMS.map((name) => [name, program(name)])) as Record<Program, Usage>),
    p50: of(({ p50 }) => p50),
    p95: of(({ p95 }) => p95),
  };
}

function draw(samples: readonly Sample[]): void {
  const lines = (value: (used: Usage) => number) =>
    PROGRAMS.map((name) => ({ name, values: samples.map((sample) => value(sample.usage[name])) }));
  const picture = drawTimelines(
    `${MINUTES} minutes of mixed traffic`,
    samples.map(({ seconds }) => seconds),
    [
      { label: "resident memory, MB", lines: lines(({ megabytes }) => megabytes) },
      { label: "open files", lines: lines(({ files }) => files) },
      {
        label: "latency of a text, ms",
        lines: [
          { name: "p50", values: samples.map(({ p50 }) => p50) },
          { name: "p95", values: samples.map(({ p95 }) => p95) },
        ],
      },
    ],
  );
  writeFileSync(PICTURE, picture);
}

/** All of TRAFFIC at the same time, until the end. */
class Mixed {
  readonly counts = new Map<string, number>();
  readonly unexpected: string[] = [];
  readonly #loops: Promise<void>[];
  #times: number[] = [];
  #ended = false;

  constructor(box: BootedMachine) {
    this.#loops = TRAFFIC.map((traffic) => this.#send(box, traffic));
  }

  /** Milliseconds of the requests with one text since the last call. */
  takeTimes(): number[] {
    const times = this.#times;
    this.#times = [];
    return times;
  }

  async end(): Promise<void> {
    this.#ended = true;
    await Promise.all(this.#loops);
  }

  async #send(
    box: BootedMachine,
    { name, client, authorization, pauseMs, body, statuses }: Traffic,
  ): Promise<void> {
    const connection = box.client(await box.readKey("AWSCURRENT", client));
    for (let count = 0; !this.#ended; count += 1) {
      const begin = Date.now();
      const request = { model: box.output("model"), ...body(count) };
      const status = await connection
        .send({
          method: "POST",
          path: "/v1/embeddings",
          authorization: authorization ?? "key",
          body: request,
        })
        .then(
          (reply) => reply.status,
          (error: Error) => error.message,
        );
      this.counts.set(name, count + 1);
      if (!statuses.includes(status as number)) {
        this.unexpected.push(`${name}: ${status}`);
      }
      if (name === TRAFFIC[0]!.name) {
        this.#times.push(Date.now() - begin);
      }
      await sleep(pauseMs);
    }
    await connection.close();
  }
}
