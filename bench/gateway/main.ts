import { randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { join, resolve } from "node:path";
import { FIRST_WORKER_PORT, SERVED_MODEL } from "../../components/bundle/contract";
import { gatewayKeys } from "../../local/gateway";
import { parseFlags, UsageError } from "../../scripts/lib/commandLine";
import { draw } from "../chart";
import type { Pace } from "../load";
import { measure } from "../measure";
import { whole } from "../options";
import { describePace, formatReport, type Measured, toJson } from "../report";
import type { Endpoint, Shape } from "../sender";
import { startLiteLlm } from "./litellm";
import { startGateway } from "./nginx";
import { benchmark, type Processes } from "./processes";
import {
  ACCELERATORS,
  type Accelerator,
  randomModel,
  sglangPython,
  startBare,
  startWorker,
  writeKeys,
} from "./sglang";

const USAGE = `usage: npm run bench:gateway [-- --accelerator cpu] [--litellm FOLDER] [--seconds 60] [--windows 12]
                             [--svg FILE] [--json FILE]

What the gateway costs: SGLang's own HTTP server, the stack's worker, and nginx with TLS and keys in front of the worker,
on this machine, measured in turns.

  --accelerator cpu  or cuda. On the CPU a tiny model is served; on the first GPU, random weights of the 4B's exact shape,
                     twice beside each other: 40 GB of its memory, and 8 GB in the folder for temporary files
  --litellm FOLDER   a virtual environment with litellm[proxy]: measured too, in front of the same SGLang
  --seconds 60       for each endpoint and kind of request
  --windows 12       turns that each endpoint's time is cut into

Needs Linux, root and what npm start has installed. Takes some minutes.
`;

const SERVED = SERVED_MODEL.servedName;
const WORKER_INDEX = 510;
const PORTS = { bare: 31_010, gateway: 31_011, litellm: 31_012 };
const CLIENTS = 100;
/** What serves each endpoint, in their order. */
const PROGRAMS = [["sglang"], ["worker"], ["nginx", "worker"], ["litellm", "sglang"]];

const SINGLES: Shape[] = [{ batch: 1, tokens: 32, format: "float" }];
const SHORT: Shape[] = [
  { batch: 128, tokens: 32, format: "float" },
  { batch: 128, tokens: 32, format: "base64" },
];
/** A CPU takes minutes for these. */
const LONG: Shape[] = [{ batch: 128, tokens: 512, format: "float" }];

interface Options {
  accelerator: Accelerator;
  litellm?: string;
  seconds: number;
  windows: number;
  svg?: string;
  json?: string;
}

/** @returns the exit status */
export async function main(argv: string[]): Promise<number> {
  return benchmark("bench:gateway", USAGE, () => parseOptions(argv), compare);
}

async function compare(processes: Processes, folder: string, options: Options): Promise<number> {
  await report(processes, await start(processes, folder, options), options);
  return 0;
}

function parseOptions(argv: string[]): Options | undefined {
  const { values } = parseFlags({
    args: argv,
    options: {
      help: { type: "boolean" },
      accelerator: { type: "string", default: "cpu" },
      litellm: { type: "string" },
      seconds: { type: "string", default: "60" },
      windows: { type: "string", default: "12" },
      svg: { type: "string" },
      json: { type: "string" },
    },
  });
  const accelerator = ACCELERATORS.find((each) => each === values.accelerator);
  if (!accelerator) {
    throw new UsageError(
      `--accelerator is ${JSON.stringify(values.accelerator)}; allowed: ${ACCELERATORS.join(", ")}`,
    );
  }
  const { litellm, svg, json, help } = values;
  const [seconds, windows] = [whole("seconds", values.seconds, 9999), whole("windows", values.windows, 9999)];
  return help ? undefined : { accelerator, litellm, svg, json, seconds, windows };
}

async function start(
  processes: Processes,
  folder: string,
  { accelerator, litellm }: Options,
): Promise<Endpoint[]> {
  const python = sglangPython();
  const model = await randomModel(python, accelerator, join(folder, "model"));
  const served = { python, accelerator, model, name: SERVED };
  const keys = Array.from({ length: CLIENTS }, () => `bench_${randomBytes(24).toString("hex")}`);
  const key = keys[0]!;
  const gatewayFolder = join(folder, "gateway");
  writeKeys(gatewayKeys(gatewayFolder), keys);
  console.log("starting SGLang's own server");
  const bare = await startBare(processes, served, PORTS.bare);
  console.log("starting the worker and nginx");
  const worker = await startWorker(processes, served, WORKER_INDEX, gatewayKeys(gatewayFolder));
  const gateway = await startGateway(processes, gatewayFolder, PORTS.gateway, [
    FIRST_WORKER_PORT + WORKER_INDEX,
  ]);
  const endpoints: Endpoint[] = [
    { name: "SGLang", url: bare, model: SERVED },
    { name: "worker", url: worker, model: SERVED, key },
    { name: "nginx + worker", url: gateway.url, ca: gateway.ca, model: SERVED, key },
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
  { accelerator, seconds, windows, svg, json }: Options,
): Promise<void> {
  const names = endpoints.map(({ name }) => name);
  console.log(`${cpus().length} cores (${cpus()[0]?.model}), ${seconds} s each in ${windows} turns`);
  const runs: { pace: Pace; shapes: Shape[] }[] = [
    { pace: { connections: 2 }, shapes: accelerator === "cpu" ? SHORT : [...SHORT, ...LONG] },
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
      const where = accelerator === "cpu" ? "tiny model on the CPU" : "the 4B's shape on the GPU";
      writeFileSync(svg, drawn(names, `${describePace(pace)}, ${seconds} s each, ${where}`, measured));
    }
  }
  if (json) {
    writeFileSync(json, `${JSON.stringify(documents, null, 2)}\n`);
  }
}

function drawn(names: string[], subtitle: string, [first]: Measured[]): string {
  return draw({
    title: "One text of 32 tokens, through each",
    subtitle,
    series: first!.windows.map((windows, i) => ({ name: names[i] ?? "", windows })),
  });
}
