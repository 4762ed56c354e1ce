import { checkSettings } from "../../components/settings/check";
import type { Context } from "../lib/commandLine";
import { readStackFile } from "../lib/stackFile";
import type { CostOptions } from "./command";
import { estimate, type Priced } from "./estimate";
import { render } from "./table";

/** Prints the estimate for a stack's settings. */
export function printCost(options: CostOptions, context: Context): void {
  const { stack, ...assumptions } = options;
  context.out(render(stack, estimate(readSettings(stack), assumptions), assumptions));
}

/** The settings of Pulumi.STACK.yaml and Pulumi.yaml, checked as in a deployment. @throws UsageError */
export function readSettings(stack: string, folder?: string): Priced {
  const { settings: written, provider } = readStackFile(stack, folder);
  const settings = checkSettings(written);
  return { ...settings, region: String(provider.region) };
}
