import { autoname, type ResourceDefinition } from "../framework";
import { arn } from "./account";

/** Recorded and not emulated: nothing here is started or stopped on a schedule. */
const schedule: ResourceDefinition = {
  inputs: [
    ...["name", "description", "scheduleExpression", "scheduleExpressionTimezone"],
    ...["flexibleTimeWindow", "target"],
  ],
  replaceOn: ["name"],
  check: (inputs, context) => autoname(inputs, "name", context),
  create: async (inputs) => ({
    id: `default/${String(inputs.name)}`,
    outputs: { arn: arn("scheduler", `schedule/default/${String(inputs.name)}`) },
  }),
  update: async () => ({}),
};

export const scheduler: Record<string, ResourceDefinition> = {
  "aws:scheduler/schedule:Schedule": schedule,
};
