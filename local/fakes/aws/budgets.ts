import { autoname, type ResourceDefinition } from "../framework";
import { ACCOUNT_ID } from "./account";

/** Recorded and not emulated: nothing here costs anything. */
const budget: ResourceDefinition = {
  inputs: ["name", "budgetType", "timeUnit", "limitAmount", "limitUnit", "notifications"],
  replaceOn: ["name"],
  check: (inputs, context) => autoname(inputs, "name", context),
  create: async (inputs) => ({
    id: `${ACCOUNT_ID}:${String(inputs.name)}`,
    outputs: { arn: `arn:aws:budgets::${ACCOUNT_ID}:budget/${String(inputs.name)}` },
  }),
  update: async () => ({}),
};

export const budgets: Record<string, ResourceDefinition> = {
  "aws:budgets/budget:Budget": budget,
};
