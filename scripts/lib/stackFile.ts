import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";
import type { RawSettings } from "../../components/settings/table";
import { fromText } from "../../components/settings/text";
import { UsageError } from "./commandLine";
import { ROOT } from "./paths";

/** The parts of Pulumi.yaml, which has a name, and of Pulumi.STACK.yaml that have settings. */
interface Configuration {
  name?: string;
  config?: Record<string, unknown>;
}

/** What a stack is configured with, as written and not checked yet. */
export interface StackFile {
  /** The project's own settings. */
  settings: RawSettings;
  /** The provider's, without `aws:`. */
  provider: { region?: string; profile?: string };
}

/**
 * Merges Pulumi.STACK.yaml and Pulumi.yaml. It needs neither Pulumi nor its backend.
 *
 * @throws UsageError if there is no Pulumi.STACK.yaml, or if it has a setting outside `config`, which Pulumi ignores
 */
export function readStackFile(stack: string, folder: string = ROOT): StackFile {
  const path = join(folder, `Pulumi.${stack}.yaml`);
  if (!/^[\w.-]+$/.test(stack) || !existsSync(path)) {
    throw new UsageError(`--stack is ${JSON.stringify(stack)}, but there is no ${path}`);
  }
  const project = readConfiguration(join(folder, "Pulumi.yaml"));
  const outside = Object.keys(readConfiguration(path)).find((key) => key.includes(":"));
  if (outside !== undefined) {
    throw new UsageError(
      `${outside} is outside config in ${path}; allowed: below config, indented by two spaces`,
    );
  }
  const settings: RawSettings = {};
  const provider: Record<string, string> = {};
  for (const [name, written] of Object.entries({ ...project.config, ...readConfiguration(path).config })) {
    const value = writtenValue(written);
    if (name.startsWith("aws:")) {
      provider[name.slice("aws:".length)] = String(value);
    } else {
      const own = name.startsWith(`${project.name}:`) ? name.slice(`${project.name}:`.length) : name;
      settings[own] = typeof value === "string" ? fromText(own, value) : value;
    }
  }
  return { settings, provider };
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
