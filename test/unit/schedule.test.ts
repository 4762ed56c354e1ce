import { setTimeout as sleep } from "node:timers/promises";
import { beforeAll, describe, expect, it } from "vitest";
import { isCron, isTimezone } from "../../components/operations/cron";
import { checkSettings } from "../../components/settings/check";
import type { RawSettings } from "../../components/settings/table";
import { type Registered, runProgram } from "./fakes/program";

const config = {
  allowedCidrs: ["203.0.113.0/24"],
  stopSchedule: "0 20 ? * MON-FRI *",
  startSchedule: "0 7 ? * MON-FRI *",
  scheduleTimezone: "Europe/Berlin",
  budgetMonthlyUsd: 500,
  budgetEmails: ["ops@example.com"],
};

describe("isCron", () => {
  it.each([
    "0 20 ? * MON-FRI *",
    "0/15 8-18 * * ? *",
    "30 6 1,15 JAN,JUL ? 2026-2030",
    "0 0 L * ? *",
    "0 9 ? * 2#1 *",
  ])("takes %j", (text) => expect(isCron(text)).toBe(true));

  it.each([
    "0 20 * * MON-FRI",
    "0 20 * * MON-FRI *",
    "0 20 ? * ? *",
    "60 20 ? * MON *",
    "0 24 ? * MON *",
    "0 20 ? 13 MON *",
    "0 20 ? * MONDAY *",
    "0  20 ? * MON *",
    "cron(0 20 ? * MON *)",
    "0 20 ? * MON-WED-FRI *",
    "0/0 20 ? * MON *",
  ])("rejects %j", (text) => expect(isCron(text)).toBe(false));
});

describe("isTimezone", () => {
  it("accepts IANA names, but not offsets", () => {
    expect(["UTC", "Europe/Berlin", "America/Argentina/Ushuaia"].map(isTimezone)).toEqual([true, true, true]);
    expect(["+01:00", "Berlin", "", "Europe/Nowhere"].map(isTimezone)).toEqual([false, false, false, false]);
  });
});

describe("the settings of schedule and budget", () => {
  it.each<[RawSettings, RegExp]>([
    [{ stopSchedule: "every evening" }, /stopSchedule is "every evening"; allowed: the six fields/],
    [{ stopSchedule: "" }, /startSchedule is "0 7 \? \* MON-FRI \*"; allowed: not set without stopSchedule/],
    [{ scheduleTimezone: "CEST+2" }, /scheduleTimezone is "CEST\+2"/],
    [{ budgetMonthlyUsd: -1 }, /budgetMonthlyUsd is -1/],
    [{ budgetEmails: [] }, /budgetEmails is \[\]; allowed: with budgetMonthlyUsd/],
    [{ budgetEmails: ["ops"] }, /budgetEmails is \["ops"\]/],
    [{ domain: "embeddings.example.com" }, /stopSchedule is .* not set with a domain/],
  ])("reject %j", (wrong, says) => {
    expect(() => checkSettings({ ...config, ...wrong })).toThrow(says);
  });
});

describe("a stack with a schedule and a budget", () => {
  let registered: Registered[];

  beforeAll(async () => {
    ({ registered } = await runProgram(config));
    await sleep(500);
  });

  const inputs = (type: string) =>
    registered.filter((each) => each.type === type).map((each) => each.inputs as Record<string, unknown>);

  it("stops and starts its own instance at the given times", () => {
    const [machine] = registered.filter(({ type }) => type === "aws:ec2/instance:Instance");
    const schedules = inputs("aws:scheduler/schedule:Schedule").map((each) => ({
      expression: each.scheduleExpression,
      timezone: each.scheduleExpressionTimezone,
      arn: (each.target as { arn: string }).arn,
      input: JSON.parse((each.target as { input: string }).input),
    }));
    const input = { InstanceIds: [`${machine!.name}-id`] };
    expect(schedules).toEqual([
      {
        expression: "cron(0 20 ? * MON-FRI *)",
        timezone: "Europe/Berlin",
        arn: "arn:aws:scheduler:::aws-sdk:ec2:stopInstances",
        input,
      },
      {
        expression: "cron(0 7 ? * MON-FRI *)",
        timezone: "Europe/Berlin",
        arn: "arn:aws:scheduler:::aws-sdk:ec2:startInstances",
        input,
      },
    ]);
  });

  it("lets the schedule only stop and start this instance, for this account only", () => {
    const instance = registered.find(({ type }) => type === "aws:ec2/instance:Instance");
    const role = registered.find(({ type, name }) => type === "aws:iam/role:Role" && /schedule/.test(name));
    const policy = registered.find(
      ({ type, name }) => type === "aws:iam/rolePolicy:RolePolicy" && /schedule/.test(name),
    );
    expect(JSON.parse(role!.inputs.assumeRolePolicy as string).Statement).toEqual([
      expect.objectContaining({
        Principal: { Service: "scheduler.amazonaws.com" },
        Condition: { StringEquals: { "aws:SourceAccount": "123456789012" } },
      }),
    ]);
    expect(JSON.parse(policy!.inputs.policy as string).Statement).toEqual([
      {
        Sid: "StopAndStartInstance",
        Effect: "Allow",
        Action: ["ec2:StartInstances", "ec2:StopInstances"],
        Resource: `arn:aws:ec2:us-east-1:123456789012:instance/${instance!.name}-id`,
      },
    ]);
  });

  it("has the permissions boundary of the setting on both of its roles", async () => {
    const permissionsBoundary = "arn:aws:iam::123456789012:policy/qwen3-embedding-boundary";
    const limited = await runProgram({ ...config, permissionsBoundary });
    await sleep(500);
    const roles = (all: Registered[]) => all.filter(({ type }) => type === "aws:iam/role:Role");
    expect(roles(limited.registered).map(({ inputs }) => inputs.permissionsBoundary)).toEqual(
      Array(2).fill(permissionsBoundary),
    );
    expect(roles(registered).map(({ inputs }) => inputs.permissionsBoundary)).toEqual([undefined, undefined]);
  });

  it("sends email at 80 and 100 percent of the budget, and when the forecast exceeds it", () => {
    const [budget] = inputs("aws:budgets/budget:Budget");
    expect(budget).toMatchObject({ limitAmount: "500", limitUnit: "USD", timeUnit: "MONTHLY" });
    expect(budget!.notifications).toEqual(
      [
        ["ACTUAL", 80],
        ["ACTUAL", 100],
        ["FORECASTED", 100],
      ].map(([notificationType, threshold]) =>
        expect.objectContaining({
          notificationType,
          threshold,
          subscriberEmailAddresses: ["ops@example.com"],
        }),
      ),
    );
  });
});

describe("a stack without them", () => {
  it("has neither resource", async () => {
    const { registered } = await runProgram({ allowedCidrs: ["203.0.113.0/24"] });
    await sleep(500);
    expect(registered.filter(({ type }) => /scheduler|budgets/.test(type))).toEqual([]);
  });
});
