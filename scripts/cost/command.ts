import type { Command } from "commander";
import { type Context, option, ScriptCommand, stackOption, whole } from "../lib/commandLine";
import { ASSUMED_TOKENS_PER_SECOND, HOURS_A_MONTH } from "./prices";

export interface CostOptions {
  stack: string;
  /** Per GPU. */
  tokensPerSecond: number;
  /** Per month. */
  hours: number;
  machines?: number;
}

/** `npm run cost`. */
export function costCommand(context: Context): Command {
  return new ScriptCommand("cost")
    .description(
      "Print the cost of a stack per hour, per month and per million tokens next to hosted prices, from Pulumi.STACK.yaml, " +
        "without a call to AWS. Every price has its source and the date on which it was read.",
    )
    .addRequiredOption(stackOption("dev, prod, or another stack with a Pulumi.STACK.yaml"))
    .addOption(
      option("--tokens-per-second <n>", "per GPU; the default is an assumption", whole(10_000_000)).default(
        ASSUMED_TOKENS_PER_SECOND,
      ),
    )
    .addOption(
      option("--hours <n>", "hours per month that instances run", whole(HOURS_A_MONTH)).default(
        HOURS_A_MONTH,
      ),
    )
    .addOption(
      option(
        "--machines <n>",
        "number of instances that run (default: the setting instancesMin)",
        whole(1000),
      ),
    )
    .action(async (options: CostOptions) => {
      const { printCost } = await import("./main");
      printCost(options, context);
    });
}
