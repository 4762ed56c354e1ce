import { parseFlags, UsageError } from "../scripts/lib/commandLine";
import type { Pace } from "./load";
import type { Shape } from "./sender";

export const USAGE = `usage: npm run bench -- --stack STACK [--client NAME] [options]
       npm run bench -- --url URL [--model NAME] [options]

Asks an endpoint as its clients do, and prints latencies and rates for every combination of the lists.

  --stack STACK          the stack to measure, with the key of --client NAME or of the first client
  --url URL              any endpoint instead, https://HOST/v1: its key is read from EMBEDDING_API_KEY, its CA from
                         EMBEDDING_CA_FILE, as npm run env prints them
  --model NAME           the model's name in requests, Qwen3-Embedding-4B without it
  --compare URL          a second endpoint, measured in turns with the first: ratios and their spread. Its key is read
                         from COMPARE_API_KEY, its CA from COMPARE_CA_FILE
  --compare-model NAME   the model's name there, where it differs
  --connections 4        closed loop: so many clients, each asks again once it is answered
  --rate N               open loop instead: N requests a second at times drawn in advance, answered or not
  --batch 1,128          texts a request
  --tokens 32,512        tokens a text, about
  --format float,base64  how vectors are asked for
  --seconds 20           for each combination and endpoint
  --windows 10           with --compare: in so many turns
  --svg FILE             a picture of the latencies; with several combinations FILE-1, FILE-2, …
  --json FILE            the figures

A key is read from Secrets Manager or the environment, and never from an argument.

Exit: 0 every request was answered 200, 1 one was not, 2 wrong usage.
`;

export interface Options {
  help: boolean;
  stack?: string;
  client?: string;
  url?: string;
  model?: string;
  compare?: string;
  compareModel?: string;
  pace: Pace;
  shapes: Shape[];
  seconds: number;
  /** FairQueue of each endpoint; 1 where there is one endpoint. */
  windows: number;
  svg?: string;
  json?: string;
}

const FORMATS = ["float", "base64"];
const LOOPBACK = new Set(["127.0.0.1", "localhost", "[::1]"]);

/** @throws UsageError that names the flag, its value and what is allowed */
export function parseOptions(argv: string[]): Options {
  const text = { type: "string" } as const;
  const { values } = parseFlags({
    args: argv,
    options: {
      help: { type: "boolean", short: "h" },
      stack: { type: "string", short: "s" },
      client: text,
      url: text,
      model: text,
      compare: text,
      "compare-model": text,
      connections: text,
      rate: text,
      batch: { type: "string", default: "1" },
      tokens: { type: "string", default: "512" },
      format: { type: "string", default: "float" },
      seconds: { type: "string", default: "20" },
      windows: text,
      svg: text,
      json: text,
    },
  });
  const help = values.help ?? false;
  if (!help && (values.stack === undefined) === (values.url === undefined)) {
    throw new UsageError("say what to measure, with --stack NAME or --url URL");
  }
  if (values.client !== undefined && values.stack === undefined) {
    throw new UsageError("--client is for --stack: with --url the key is EMBEDDING_API_KEY");
  }
  if (values.rate !== undefined && values.connections !== undefined) {
    throw new UsageError("--rate and --connections exclude each other: an open loop or a closed one");
  }
  if (values.compare === undefined && (values["compare-model"] ?? values.windows) !== undefined) {
    throw new UsageError("--compare-model and --windows are for --compare");
  }
  return {
    help,
    stack: values.stack,
    client: values.client,
    url: address("url", values.url),
    model: values.model,
    compare: address("compare", values.compare),
    compareModel: values["compare-model"],
    pace:
      values.rate === undefined
        ? { connections: whole("connections", values.connections ?? "4", 4096) }
        : { rate: whole("rate", values.rate, 100_000) },
    shapes: shapes(values.batch, values.tokens, values.format),
    seconds: whole("seconds", values.seconds, 3600),
    windows: values.compare === undefined ? 1 : whole("windows", values.windows ?? "10", 1000),
    svg: values.svg,
    json: values.json,
  };
}

/** Every combination. */
function shapes(batch: string, tokens: string, format: string): Shape[] {
  const list = (name: string, value: string, most: number) =>
    value.split(",").map((each) => whole(name, each, most));
  const batches = list("batch", batch, 2048);
  const lengths = list("tokens", tokens, 32_768);
  const formats = format.split(",").map((each) => {
    if (!FORMATS.includes(each)) {
      throw new UsageError(`--format is ${JSON.stringify(format)}; allowed: ${FORMATS.join(", ")}, or both`);
    }
    return each as Shape["format"];
  });
  return lengths.flatMap((length) =>
    batches.flatMap((count) => formats.map((each) => ({ batch: count, tokens: length, format: each }))),
  );
}

/** @throws UsageError that names the flag, its value and what is allowed */
export function whole(name: string, value: string, most: number): number {
  if (!/^[1-9]\d*$/.test(value) || Number(value) > most) {
    throw new UsageError(
      `--${name} is ${JSON.stringify(value)}; allowed: a whole number from 1 to ${most}${["batch", "tokens"].includes(name) ? ", or several with commas" : ""}`,
    );
  }
  return Number(value);
}

/** A key must not travel in the clear: http is for this machine alone. */
function address(name: string, value: string | undefined): string | undefined {
  if (value === undefined) {
    return undefined;
  }
  const url = URL.canParse(value) ? new URL(value) : undefined;
  const safe = url?.protocol === "https:" || (url?.protocol === "http:" && LOOPBACK.has(url.hostname));
  if (!url || !safe || url.username || url.password || url.search) {
    throw new UsageError(
      `--${name} is ${JSON.stringify(value)}; allowed: https://HOST/v1, or http:// on this machine's loopback`,
    );
  }
  return value;
}
