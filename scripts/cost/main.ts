import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";
import { checkSettings } from "../../components/settings/check";
import type { RawSettings } from "../../components/settings/table";
import { ROOT } from "../../local/paths";
import { parseFlags, type Streams, UsageError } from "../lib/commandLine";
import { type Assumptions, estimate, type Priced } from "./estimate";
import { ASSUMED_TOKENS_PER_SECOND, HOURS_A_MONTH } from "./prices";
import { render } from "./table";

const USAGE = `usage: npm run cost -- --stack STACK [--tokens-per-second N] [--hours N] [--machines N]

What a stack costs an hour, a month and for a million tokens, beside hosted prices; from Pulumi.STACK.yaml, without
asking AWS. Every price has its source and the day on which it was read.

  --stack STACK             dev, prod, or another whose Pulumi.STACK.yaml is here
  --tokens-per-second N     of one GPU; ${ASSUMED_TOKENS_PER_SECOND} without it, an assumption
  --hours N                 hours a month that machines run; ${HOURS_A_MONTH} without it
  --machines N              machines that run; instancesMin without it
`;

/** @returns the exit status */
export function main(argv: string[], streams: Streams): number {
  try {
    if (argv.includes("--help") || argv.includes("-h")) {
      streams.stdout.write(USAGE);
      return 0;
    }
    const { stack, assumptions } = parseOptions(argv);
    streams.stdout.write(render(stack, estimate(readSettings(stack), assumptions), assumptions));
    return 0;
  } catch (error) {
    streams.stderr.write(`cost: ${(error as Error).message}\n`);
    return error instanceof UsageError ? 2 : 1;
  }
}

function parseOptions(argv: string[]): { stack: string; assumptions: Assumptions } {
  const { values } = parseFlags({
    args: argv,
    options: {
      stack: { type: "string" },
      "tokens-per-second": { type: "string", default: String(ASSUMED_TOKENS_PER_SECOND) },
      hours: { type: "string", default: String(HOURS_A_MONTH) },
      machines: { type: "string" },
    },
  });
  if (!values.stack) {
    throw new UsageError("--stack is not set: dev, prod, or another whose Pulumi.STACK.yaml is here");
  }
  const whole = (name: "tokens-per-second" | "hours" | "machines", most: number) => {
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
    assumptions: {
      tokensPerSecond: whole("tokens-per-second", 10_000_000),
      hours: whole("hours", HOURS_A_MONTH),
      ...(values.machines !== undefined && { machines: whole("machines", 1000) }),
    },
  };
}

/** The settings of Pulumi.STACK.yaml over those of Pulumi.yaml, checked as a deployment checks them. */
function readSettings(stack: string): Priced {
  const path = join(ROOT, `Pulumi.${stack}.yaml`);
  if (!/^[\w.-]+$/.test(stack) || !existsSync(path)) {
    throw new UsageError(`--stack is ${JSON.stringify(stack)}, and there is no ${path}`);
  }
  const project = (parse(readFileSync(join(ROOT, "Pulumi.yaml"), "utf8")) as { config: object }).config;
  const written = (parse(readFileSync(path, "utf8")) as { config?: object }).config ?? {};
  const values: RawSettings = {};
  for (const [name, value] of Object.entries({ ...project, ...written })) {
    const short = name.replace(/^qwen3-embedding-stack:/, "").replace(/^aws:/, "");
    const declared = value as { value?: unknown; default?: unknown; type?: string } | null;
    const isDeclaration = declared !== null && typeof declared === "object" && !Array.isArray(declared);
    const given = isDeclaration && ("default" in declared || "value" in declared);
    values[short] = number(given ? (declared.value ?? declared.default) : value);
  }
  const { region, ...own } = values;
  const settings = checkSettings(own);
  return { ...settings, region: String(region), instances: { min: settings.instancesMin } };
}

/** A share is text in Pulumi.yaml, which has no type for it. */
function number(value: unknown): unknown {
  return typeof value === "string" && /^\d+(\.\d+)?$/.test(value) ? Number(value) : value;
}
