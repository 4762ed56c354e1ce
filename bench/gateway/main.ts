import { randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { join, resolve } from "node:path";
import { FIRST_WORKER_PORT, SERVED_MODEL } from "../../components/bundle/contract";
import { gatewayKeys } from "../../local/gateway";
import type { Context } from "../../scripts/lib/commandLine";
import { draw } from "../lib/chart";
import type { Pace } from "../lib/load";
import { measure } from "../lib/measure";
import { startGateway } from "../lib/nginx";
import { type Processes, withProcesses } from "../lib/processes";
import { describePace, formatReport, type Measured, toJson } from "../lib/report";
import type { Endpoint, Shape } from "../lib/sender";
import { randomModel, sglangPython, startBare, startWorker, writeKeys } from "../lib/sglang";
import type { GatewayOptions } from "./command";
import { startLiteLlm } from "./litellm";

const SERVED = SERVED_MODEL.servedName;
const WORKER_INDEX = 510;
const PORTS = { bare: 31_010, gateway: 31_011, litellm: 31_012 };
const CLIENTS = 100;
/** The programs that serve each endpoint, in the order of the endpoints. */
const PROGRAMS = [["sglang"], ["worker"], ["nginx", "worker"], ["litellm", "sglang"]];

const SINGLES: Shape[] = [{ batch: 1, tokens: 32, format: "float" }];
const SHORT: Shape[] = [
  { batch: 128, tokens: 32, format: "float" },
  { batch: 128, tokens: 32, format: "base64" },
];
/** These take minutes on a CPU. */
const LONG: Shape[] = [{ batch: 128, tokens: 512, format: "float" }];

/** Starts each server, measures them in alternation, and prints the figures and writes them and the chart to files. */
export function compareGateways(options: GatewayOptions, context: Context): Promise<void> {
  return withProcesses(async (processes, folder) => {
    const endpoints = await start(processes, folder, options, context);
    await report(processes, endpoints, options, context);
  });
}

async function start(
  processes: Processes,
  folder: string,
  { accelerator, litellm }: GatewayOptions,
  context: Context,
): Promise<Endpoint[]> {
  const python = sglangPython();
  const model = await randomModel(python, accelerator, join(folder, "model"));
  const served = { python, accelerator, model, name: SERVED };
  const keys = Array.from({ length: CLIENTS }, () => `bench_${randomBytes(24).toString("hex")}`);
  const key = keys[0]!;
  const gatewayFolder = join(folder, "gateway");
  writeKeys(gatewayKeys(gatewayFolder), keys);
  context.out("starting SGLang's own server\n");
  const bare = await startBare(processes, served, PORTS.bare);
  context.out("starting the worker and nginx\n");
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
    context.out("starting LiteLLM\n");
    const url = await startLiteLlm(processes, resolve(litellm), folder, PORTS.litellm, bare, SERVED, key);
    endpoints.push({ name: "LiteLLM + SGLang", url, model: SERVED, key });
  }
  return endpoints;
}

async function report(
  processes: Processes,
  endpoints: Endpoint[],
  { accelerator, seconds, windows, svg, json }: GatewayOptions,
  context: Context,
): Promise<void> {
  const names = endpoints.map(({ name }) => name);
  context.out(`${cpus().length} cores (${cpus()[0]?.model}), ${seconds} s each in ${windows} windows\n`);
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
    context.out(`\n${describePace(pace)}\n${formatReport(names, measured, others)}\n`);
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
    title: "One text of 32 tokens, through each endpoint",
    subtitle,
    series: first!.windows.map((windows, i) => ({ name: names[i] ?? "", windows })),
  });
}
