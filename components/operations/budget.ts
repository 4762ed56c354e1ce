import * as budgets from "@pulumi/aws/budgets";
import * as pulumi from "@pulumi/pulumi";

export interface BudgetArgs {
  /** US dollars in one month. */
  monthlyUsd: number;
  /** Recipients of the notifications. */
  emails: string[];
}

/** Percentages of the budget at which AWS sends email: of the actual and of the forecast cost. */
const NOTIFICATIONS = [
  { notificationType: "ACTUAL", threshold: 80 },
  { notificationType: "ACTUAL", threshold: 100 },
  { notificationType: "FORECASTED", threshold: 100 },
] as const;

/**
 * Email when the monthly cost of the account approaches a budget. It covers the whole account: AWS separates stacks only
 * by tags that were activated as cost allocation tags. It stops nothing.
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
        notifications: NOTIFICATIONS.map((notification) => ({
          ...notification,
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
