import type { Command } from "commander";
import {
  type Context,
  clientOption,
  option,
  type Rule,
  ScriptCommand,
  stackOption,
  UsageError,
  whole,
} from "../../scripts/lib/commandLine";
import type { Shape } from "../lib/sender";

export interface RunOptions {
  stack?: string;
  client?: string;
  url?: string;
  model?: string;
  compare?: string;
  compareModel?: string;
  connections: number;
  /** Requests per second of an open loop, in place of connections. */
  rate?: number;
  batch: number[];
  tokens: number[];
  format: Shape["format"][];
  seconds: number;
  windows?: number;
  svg?: string;
  json?: string;
}

const LOOPBACK = new Set(["127.0.0.1", "localhost", "[::1]"]);

/** A key must not be sent in plain text: http is only allowed on loopback. */
const ENDPOINT: Rule<string> = {
  allowed: "https://HOST/v1, or http:// on this computer's loopback",
  read: (text) => {
    const url = URL.canParse(text) ? new URL(text) : undefined;
    const safe = url?.protocol === "https:" || (url?.protocol === "http:" && LOOPBACK.has(url.hostname));
    return url && safe && !url.username && !url.password && !url.search ? text : undefined;
  },
};

const FORMATS: Rule<Shape["format"][]> = {
  allowed: "float, base64, or both separated by a comma",
  read: (text) => {
    const formats = text.split(",");
    return formats.every((each) => each === "float" || each === "base64") ? formats : undefined;
  },
};

const HELP = `
With --url, the key is EMBEDDING_API_KEY and the CA EMBEDDING_CA_FILE, as npm run env prints them; with --compare, they
are COMPARE_API_KEY and COMPARE_CA_FILE. Keys are read from Secrets Manager or the environment, never from an argument.

Exit status: 0 every request returned 200, 1 a request did not, 2 wrong usage.`;

/** `npm run bench`. */
export function runCommand(context: Context): Command {
  return new ScriptCommand("run", "bench")
    .description(
      "Send an endpoint requests like those of its clients, and print latencies and rates for every combination of the lists.",
    )
    .addOption(stackOption("the stack to measure, with the key of its first client"))
    .addOption(clientOption())
    .addOption(
      option("--url <url>", "an endpoint in place of a stack, https://HOST/v1", ENDPOINT).conflicts([
        "stack",
        "client",
      ]),
    )
    .option("--model <name>", "the model's name in requests (default: Qwen3-Embedding-4B)")
    .addOption(
      option(
        "--compare <url>",
        "a second endpoint, measured in alternation with the first, for ratios and their spread",
        ENDPOINT,
      ),
    )
    .option("--compare-model <name>", "the model's name at the second endpoint, if it differs")
    .addOption(
      option(
        "--connections <n>",
        "closed loop: each connection sends again once it has its reply",
        whole(4096),
      ).default(4),
    )
    .addOption(
      option(
        "--rate <n>",
        "open loop: requests per second, at times drawn in advance, regardless of the replies",
        whole(100_000),
      ).conflicts("connections"),
    )
    .addOption(option("--batch <list>", "texts per request", list(whole(2048))).default([1], "1"))
    .addOption(
      option("--tokens <list>", "approximate tokens per text", list(whole(32_768))).default([512], "512"),
    )
    .addOption(option("--format <list>", "format of the vectors", FORMATS).default(["float"], "float"))
    .addOption(option("--seconds <n>", "seconds per combination and endpoint", whole(3600)).default(20))
    .addOption(option("--windows <n>", "with --compare, number of windows (default: 10)", whole(1000)))
    .option("--svg <file>", "write a chart of the latencies; for several combinations FILE-1, FILE-2, …")
    .option("--json <file>", "write the figures")
    .addHelpText("after", HELP)
    .action(async (options: RunOptions) => {
      checkTogether(options);
      const { benchmarkEndpoints } = await import("./main");
      await benchmarkEndpoints(options, context);
    });
}

/** Several values separated by commas. */
function list<T>(rule: Rule<T>): Rule<T[]> {
  return {
    allowed: `${rule.allowed}, or several separated by commas`,
    read: (text) => {
      const values = text.split(",").map((each) => rule.read(each));
      return values.every((value) => value !== undefined) ? values : undefined;
    },
  };
}

/** @throws UsageError */
function checkTogether({ stack, url, compare, compareModel, windows }: RunOptions): void {
  if (stack === undefined && url === undefined) {
    throw new UsageError("neither --stack NAME nor --url URL is set");
  }
  if (compare === undefined && (compareModel ?? windows) !== undefined) {
    throw new UsageError("--compare-model and --windows require --compare");
  }
}
