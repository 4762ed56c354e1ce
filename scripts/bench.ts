import { parseFlags, UsageError } from "./lib/commandLine";
import { Redactor, readKey } from "./lib/secrets";
import { awsAccess, clientSecretArn, openStack } from "./lib/stack";
import { EndpointClient } from "./verify/client";

const USAGE = `usage: npm run bench -- --stack STACK [--seconds 20] [--connections 4] [--batch 1] [--words 100] [--base64]

Asks the endpoint in a closed loop, as that many clients would, and prints latencies and rates.
`;

interface Load {
  seconds: number;
  connections: number;
  /** Texts a request. */
  batch: number;
  words: number;
  base64: boolean;
}

interface Outcome {
  milliseconds: number;
  tokens: number;
  ok: boolean;
}

async function main(argv: string[]): Promise<void> {
  if (argv.includes("--help")) {
    console.log(USAGE);
    return;
  }
  const { stack: name, load } = parseOptions(argv);
  const stack = await openStack(name);
  const key = await readKey(clientSecretArn(stack, undefined), awsAccess(stack));
  const endpoint = new EndpointClient(stack.outputs.endpoint, stack.outputs.caCertificate, key);
  console.log(
    `${load.connections} connections for ${load.seconds} s, ${load.batch} texts of ${load.words} words a request`,
  );
  const end = Date.now() + load.seconds * 1000;
  const outcomes: Outcome[] = [];
  const progress = setInterval(() => console.log(`  ${outcomes.length} requests`), 5000);
  try {
    await Promise.all(
      Array.from({ length: load.connections }, async () => {
        while (Date.now() < end) {
          outcomes.push(await ask(endpoint, stack.outputs.model, load));
        }
      }),
    );
  } finally {
    clearInterval(progress);
    await endpoint.close();
  }
  report(outcomes, load);
}

function parseOptions(argv: string[]): { stack: string; load: Load } {
  const number = (fallback: string) => ({ type: "string", default: fallback }) as const;
  const { values } = parseFlags({
    args: argv,
    options: {
      stack: { type: "string" },
      seconds: number("20"),
      connections: number("4"),
      batch: number("1"),
      words: number("100"),
      base64: { type: "boolean", default: false },
    },
  });
  if (!values.stack) {
    throw new UsageError("--stack is not set: name the stack to measure");
  }
  const whole = (name: "seconds" | "connections" | "batch" | "words", most: number) => {
    const value = Number(values[name]);
    if (!Number.isInteger(value) || value < 1 || value > most) {
      throw new UsageError(
        `--${name} is ${JSON.stringify(values[name])}; allowed: a whole number from 1 to ${most}`,
      );
    }
    return value;
  };
  return {
    stack: values.stack,
    load: {
      seconds: whole("seconds", 3600),
      connections: whole("connections", 256),
      batch: whole("batch", 2048),
      words: whole("words", 8192),
      base64: values.base64,
    },
  };
}

async function ask(endpoint: EndpointClient, model: string, load: Load): Promise<Outcome> {
  // Different texts, so that nothing can be answered from what was asked before.
  const text = () =>
    Array.from({ length: load.words }, () => Math.random().toString(36).slice(2, 6)).join(" ");
  const body = {
    model,
    input: Array.from({ length: load.batch }, text),
    encoding_format: load.base64 ? "base64" : "float",
  };
  const begin = performance.now();
  const reply = await endpoint
    .send({ method: "POST", path: "/v1/embeddings", authorization: "key", body })
    .catch(() => undefined);
  const { usage } = (reply?.json ?? {}) as { usage?: { prompt_tokens: number } };
  return {
    milliseconds: performance.now() - begin,
    tokens: usage?.prompt_tokens ?? 0,
    ok: reply?.status === 200,
  };
}

function report(outcomes: Outcome[], load: Load): void {
  const good = outcomes.filter(({ ok }) => ok);
  const sorted = good.map(({ milliseconds }) => milliseconds).sort((a, b) => a - b);
  const percentile = (share: number) =>
    sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))];
  const shown = (share: number) => percentile(share)?.toFixed(1) ?? "-";
  const tokens = good.reduce((sum, outcome) => sum + outcome.tokens, 0);
  console.log(`requests    ${outcomes.length}, ${outcomes.length - good.length} failed`);
  console.log(`latency ms  p50 ${shown(0.5)}  p95 ${shown(0.95)}  p99 ${shown(0.99)}`);
  console.log(
    `rate        ${(good.length / load.seconds).toFixed(1)} requests/s, ${(tokens / load.seconds).toFixed(0)} tokens/s`,
  );
  process.exitCode = good.length === outcomes.length ? 0 : 1;
}

main(process.argv.slice(2)).catch((error: Error) => {
  console.error(new Redactor().redact(`bench: ${error.message}`));
  process.exitCode = error instanceof UsageError ? 2 : 1;
});
