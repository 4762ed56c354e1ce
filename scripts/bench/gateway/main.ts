import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { unsupported } from "../../../local/preflight";
import { parseFlags, UsageError } from "../../lib/commandLine";
import { draw } from "../chart";
import type { Pace } from "../load";
import { measure } from "../measure";
import { describePace, formatReport, type Measured, toJson } from "../report";
import type { Endpoint, Shape } from "../sender";
import { startEdge } from "./edge";
import { startLiteLlm } from "./litellm";
import { Processes } from "./processes";
import { sglangPython, startBare, startWorker, tinyModel, writeKeys } from "./sglang";

const USAGE = `usage: npm run bench:gateway [-- --litellm FOLDER] [--seconds 60] [--windows 12] [--svg FILE] [--json FILE]

What the gateway costs: SGLang's own HTTP server, the stack's worker, and nginx with TLS and keys in front of the worker,
on this machine's CPU with the tiny model, measured in turns.

  --litellm FOLDER  a virtual environment with litellm[proxy]: measured too, in front of the same SGLang
  --seconds 60      for each endpoint and kind of request
  --windows 12      turns that each endpoint's time is cut into

Needs Linux, root and what npm start has installed. Takes some minutes.
`;

const SERVED = "Qwen3-Embedding-4B";
const WORKER_INDEX = 510;
const PORTS = { bare: 31_010, edge: 31_011, litellm: 31_012 };
const CLIENTS = 100;
/** What serves each endpoint, in their order. */
const PROGRAMS = [["sglang"], ["worker"], ["nginx", "worker"], ["litellm", "sglang"]];

const SINGLES: Shape[] = [{ batch: 1, tokens: 32, format: "float" }];
const BATCHES: Shape[] = [
  { batch: 128, tokens: 32, format: "float" },
  { batch: 128, tokens: 32, format: "base64" },
];

interface Options {
  litellm?: string;
  seconds: number;
  windows: number;
  svg?: string;
  json?: string;
}

/** @returns the exit status */
export async function main(argv: string[]): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), "qwen3-bench-"));
  const processes = new Processes(folder);
  const clean = async () => {
    await processes.end();
    rmSync(folder, { recursive: true, force: true });
  };
  const stop = () => clean().finally(() => process.exit(130));
  process.once("SIGINT", stop).once("SIGTERM", stop);
  try {
    const options = parseOptions(argv);
    if (!options) {
      console.log(USAGE);
      return 0;
    }
    const reason = unsupported();
    if (reason) {
      throw new Error(reason);
    }
    const endpoints = await start(processes, folder, options);
    await report(processes, endpoints, options);
    return 0;
  } catch (error) {
    console.error(`bench:gateway: ${(error as Error).message}`);
    return error instanceof UsageError ? 2 : 1;
  } finally {
    await clean();
  }
}

function parseOptions(argv: string[]): Options | undefined {
  const { values } = parseFlags({
    args: argv,
    options: {
      help: { type: "boolean" },
      litellm: { type: "string" },
      seconds: { type: "string", default: "60" },
      windows: { type: "string", default: "12" },
      svg: { type: "string" },
      json: { type: "string" },
    },
  });
  const whole = (name: "seconds" | "windows") => {
    if (!/^[1-9]\d{0,3}$/.test(values[name])) {
      throw new UsageError(
        `--${name} is ${JSON.stringify(values[name])}; allowed: a whole number from 1 to 9999`,
      );
    }
    return Number(values[name]);
  };
  const { litellm, svg, json, help } = values;
  return help ? undefined : { litellm, svg, json, seconds: whole("seconds"), windows: whole("windows") };
}

async function start(processes: Processes, folder: string, { litellm }: Options): Promise<Endpoint[]> {
  const python = sglangPython();
  const model = await tinyModel(python, join(folder, "model"));
  const keys = Array.from({ length: CLIENTS }, () => `bench_${randomBytes(24).toString("hex")}`);
  const key = keys[0]!;
  writeKeys(join(folder, "keys"), keys);
  console.log("starting SGLang's own server");
  const bare = await startBare(processes, python, model, PORTS.bare, SERVED);
  console.log("starting the worker and nginx");
  const worker = await startWorker(processes, python, model, WORKER_INDEX, SERVED, join(folder, "keys"));
  const edge = await startEdge(processes, folder, PORTS.edge, [30_000 + WORKER_INDEX]);
  const endpoints: Endpoint[] = [
    { name: "SGLang", url: bare, model: SERVED },
    { name: "worker", url: worker, model: SERVED, key },
    { name: "nginx + worker", url: edge.url, ca: edge.ca, model: SERVED, key },
  ];
  if (litellm) {
    console.log("starting LiteLLM");
    const url = await startLiteLlm(processes, resolve(litellm), folder, PORTS.litellm, bare, SERVED, key);
    endpoints.push({ name: "LiteLLM + SGLang", url, model: SERVED, key });
  }
  return endpoints;
}

async function report(
  processes: Processes,
  endpoints: Endpoint[],
  { seconds, windows, svg, json }: Options,
): Promise<void> {
  const names = endpoints.map(({ name }) => name);
  console.log(`${cpus().length} cores (${cpus()[0]?.model}), ${seconds} s each in ${windows} turns`);
  const runs: { pace: Pace; shapes: Shape[] }[] = [
    { pace: { connections: 2 }, shapes: BATCHES },
    { pace: { connections: 1 }, shapes: SINGLES },
    { pace: { connections: 8 }, shapes: SINGLES },
  ];
  const documents: object[] = [];
  for (const { pace, shapes } of runs) {
    const cpuSeconds = (i: number) => processes.cpuSeconds(PROGRAMS[i]!);
    const plan = { endpoints, shapes, pace, seconds, windows, cpuSeconds };
    const measured = await measure(plan, { advance: () => undefined });
    const others = names.slice(1).map((_, i): [number, number] => [i + 1, 0]);
    console.log(`\n${describePace(pace)}\n${formatReport(names, measured, others)}`);
    documents.push(toJson(names, pace, measured, others));
    if (svg && shapes === SINGLES && documents.length === 2) {
      writeFileSync(svg, drawn(names, pace, measured, seconds));
    }
  }
  if (json) {
    writeFileSync(json, `${JSON.stringify(documents, null, 2)}\n`);
  }
}

function drawn(names: string[], pace: Pace, [first]: Measured[], seconds: number): string {
  return draw({
    title: "One text of 32 tokens, through each",
    subtitle: `${describePace(pace)}, ${seconds} s each, tiny model on the CPU`,
    series: first!.windows.map((windows, i) => ({ name: names[i] ?? "", windows })),
  });
}
