import { autoname, type Props, type ResourceDefinition } from "../framework";
import { ACCOUNT_ID, arn } from "./account";

/**
 * Recorded, and not sent to the emulator: nothing here costs anything or is stopped on a schedule, and what a function
 * logs is in functions/NAME/log.
 */
function recorded(
  inputs: string[],
  made: (name: string) => { arn: string; id?: string },
): ResourceDefinition {
  return {
    inputs: ["name", ...inputs],
    replaceOn: ["name"],
    check: (news, context) => autoname(news, "name", context),
    create: async ({ name }) => {
      const { id = String(name), ...outputs } = made(String(name));
      return { id, outputs };
    },
    update: async (): Promise<Props> => ({}),
  };
}

export const recordedResources: Record<string, ResourceDefinition> = {
  "aws:budgets/budget:Budget": recorded(
    ["budgetType", "timeUnit", "limitAmount", "limitUnit", "notifications"],
    (name) => ({ id: `${ACCOUNT_ID}:${name}`, arn: `arn:aws:budgets::${ACCOUNT_ID}:budget/${name}` }),
  ),
  "aws:scheduler/schedule:Schedule": recorded(
    ["description", "scheduleExpression", "scheduleExpressionTimezone", "flexibleTimeWindow", "target"],
    (name) => ({ id: `default/${name}`, arn: arn("scheduler", `schedule/default/${name}`) }),
  ),
  "aws:cloudwatch/logGroup:LogGroup": recorded(["retentionInDays", "tags"], (name) => ({
    arn: arn("logs", `log-group:${name}`),
  })),
};
