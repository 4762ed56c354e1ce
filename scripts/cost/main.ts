import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";
import { checkSettings } from "../../components/settings/check";
import type { RawSettings } from "../../components/settings/table";
import { type Context, UsageError } from "../lib/commandLine";
import { ROOT } from "../lib/paths";
import type { CostOptions } from "./command";
import { estimate, type Priced } from "./estimate";
import { render } from "./table";

/** The parts of Pulumi.yaml, which has a name, and of Pulumi.STACK.yaml that determine the cost. */
interface Configuration {
  name?: string;
  config?: Record<string, unknown>;
}

/** Prints the estimate for a stack's settings. */
export function printCost(options: CostOptions, context: Context): void {
  const { stack, ...assumptions } = options;
  context.out(render(stack, estimate(readSettings(stack), assumptions), assumptions));
}

/** Merges the settings of Pulumi.STACK.yaml and Pulumi.yaml, checked as in a deployment. @throws UsageError */
export function readSettings(stack: string, folder: string = ROOT): Priced {
  const path = join(folder, `Pulumi.${stack}.yaml`);
  if (!/^[\w.-]+$/.test(stack) || !existsSync(path)) {
    throw new UsageError(`--stack is ${JSON.stringify(stack)}, but there is no ${path}`);
  }
  const project = readConfiguration(join(folder, "Pulumi.yaml"));
  const namespaces = [`${project.name}:`, "aws:"];
  const values: RawSettings = {};
  for (const [name, value] of Object.entries({ ...project.config, ...readConfiguration(path).config })) {
    const namespace = namespaces.find((each) => name.startsWith(each)) ?? "";
    values[name.slice(namespace.length)] = asNumber(writtenValue(value));
  }
  const { region, ...own } = values;
  const settings = checkSettings(own);
  return { ...settings, region: String(region) };
}

function readConfiguration(file: string): Configuration {
  return (parse(readFileSync(file, "utf8")) ?? {}) as Configuration;
}

/** The written value of a setting. In Pulumi.yaml, it can be a declaration with a value or a default. */
function writtenValue(written: unknown): unknown {
  if (written === null || typeof written !== "object" || Array.isArray(written)) {
    return written;
  }
  const declared = written as { value?: unknown; default?: unknown };
  return "default" in declared || "value" in declared ? (declared.value ?? declared.default) : written;
}

/** A fraction is text in Pulumi.yaml, which has no type for it. */
function asNumber(value: unknown): unknown {
  return typeof value === "string" && /^\d+(\.\d+)?$/.test(value) ? Number(value) : value;
}
