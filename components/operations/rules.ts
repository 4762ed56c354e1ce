import { rule, show } from "../settings/rule";

export const operationsRules = [
  rule(["stopSchedule", "startSchedule"], ({ stopSchedule, startSchedule }) =>
    stopSchedule === undefined && startSchedule !== undefined
      ? [`startSchedule is ${show(startSchedule)}; allowed: not set without stopSchedule`]
      : [],
  ),
  rule(["stopSchedule", "domain"], ({ stopSchedule, domain }) =>
    stopSchedule !== undefined && domain !== undefined
      ? [
          `stopSchedule is ${show(stopSchedule)}; allowed: not set with a domain, because the Auto Scaling group would launch other instances`,
        ]
      : [],
  ),
  rule(["budgetMonthlyUsd", "budgetEmails"], ({ budgetMonthlyUsd, budgetEmails }) =>
    budgetMonthlyUsd > 0 && budgetEmails.length === 0
      ? [`budgetEmails is []; allowed: with budgetMonthlyUsd, at least one address`]
      : [],
  ),
];
