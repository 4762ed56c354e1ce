import * as budgets from "@pulumi/aws/budgets";
import * as pulumi from "@pulumi/pulumi";

export interface BudgetArgs {
  /** US dollars a month. */
  monthlyUsd: number;
  /** Who is told. */
  emails: string[];
}

/** Percent of the budget at which mail is sent: on what was spent, and on what the month is heading for. */
const ALARMS = [
  { notificationType: "ACTUAL", threshold: 80 },
  { notificationType: "ACTUAL", threshold: 100 },
  { notificationType: "FORECASTED", threshold: 100 },
] as const;

/**
 * Mail when the account's cost of a month nears its budget. It counts the whole account: AWS tells stacks apart only
 * by tags that somebody has first made cost allocation tags. It stops nothing.
 */
export class Budget extends pulumi.ComponentResource {
  constructor(name: string, args: BudgetArgs, opts?: pulumi.ComponentResourceOptions) {
    super("qwen3-embedding-stack:index:Budget", name, {}, opts);
    new budgets.Budget(
      name,
      {
        budgetType: "COST",
        timeUnit: "MONTHLY",
        limitAmount: String(args.monthlyUsd),
        limitUnit: "USD",
        notifications: ALARMS.map((alarm) => ({
          ...alarm,
          comparisonOperator: "GREATER_THAN",
          thresholdType: "PERCENTAGE",
          subscriberEmailAddresses: args.emails,
        })),
      },
      { parent: this },
    );
    this.registerOutputs({});
  }
}
