import * as pulumi from "@pulumi/pulumi";
import { closest, distance } from "fastest-levenshtein";
import * as v from "valibot";
import { gpuMemoryRule } from "../compute/gpuMemory";
import { instanceTypeRule } from "../compute/instanceTypes";
import { purchaseOptionRules } from "../compute/purchaseOption";
import { endpointRules } from "../endpoint/rules";
import { networkRules } from "../network/rules";
import { operationsRules } from "../operations/rules";
import { show } from "./rule";
import { type RawSettings, REGIONS, SETTINGS, type Settings } from "./table";

const RULES = [
  instanceTypeRule,
  gpuMemoryRule,
  ...purchaseOptionRules,
  ...endpointRules,
  ...networkRules,
  ...operationsRules,
];

export interface Checked {
  /** Complete only if there are no problems. */
  settings: Settings;
  /** Every problem, as "X is Y; allowed: Z". */
  problems: string[];
}

/** Checks settings as written: names, each value, then the rules between them. */
export function check(written: RawSettings): Checked {
  const given = Object.fromEntries(Object.entries(written).filter(([, value]) => value !== undefined));
  const problems = unknownNames(Object.keys(given));
  const settings: Record<string, unknown> = {};
  for (const [name, { schema, allowed, default: fallback }] of Object.entries(SETTINGS)) {
    const value = Object.hasOwn(given, name) ? given[name] : fallback;
    const result = v.safeParse(schema as v.GenericSchema, value);
    if (result.success) {
      settings[name] = result.output;
    } else {
      problems.push(`${name} is ${show(value)}; allowed: ${allowed}`);
    }
  }
  for (const { reads, problems: broken } of RULES) {
    if (reads.every((name) => Object.hasOwn(settings, name))) {
      problems.push(...broken(settings as Settings));
    }
  }
  return { settings: settings as Settings, problems };
}

/** The problem of `aws:region`, if there is one. */
export function regionProblems(region: string | undefined): string[] {
  return region !== undefined && REGIONS.includes(region)
    ? []
    : [`aws:region is ${show(region)}; allowed: one of AWS's regions: ${REGIONS.join(", ")}`];
}

/** @throws pulumi.RunError that lists every problem. */
export function requireNone(problems: string[]): void {
  if (problems.length > 0) {
    throw new pulumi.RunError(
      `The configuration is not valid, and nothing was changed:\n${problems.map((line) => `  - ${line}`).join("\n")}\n` +
        "Set a value with `npx pulumi config set NAME VALUE`; write a list in Pulumi.STACK.yaml.",
    );
  }
}

/** @throws pulumi.RunError that lists every problem. */
export function checkSettings(written: RawSettings): Settings {
  const { settings, problems } = check(written);
  requireNone(problems);
  return settings;
}

/** Names without their values, which may be secrets that were entered under a wrong name. */
function unknownNames(names: string[]): string[] {
  return names
    .filter((name) => !Object.hasOwn(SETTINGS, name))
    .map((name) => `${name} is not a setting; allowed: ${suggestion(name)}one of docs/reference/settings.md`);
}

/** The name that was probably meant. Settings of the provider are often written without their prefix. */
function suggestion(name: string): string {
  const provider = ["region", "profile"];
  const nearest = closest(name, [...Object.keys(SETTINGS), ...provider]);
  return distance(name, nearest) > name.length / 2
    ? ""
    : `${provider.includes(nearest) ? `aws:${nearest}` : nearest}, or `;
}
