import { beforeAll, describe, expect, it } from "vitest";
import { type Day, type Scaling, type Scenario, simulate, turns, untilAddedAgain } from "./fakes/autoScaling";
import { runProgram } from "./fakes/program";
import traffic from "./fakes/traffic.json";

const INSTANCE = 30_000;
const [MIN, MAX] = [1, 8];
const DAY = 1440;
/** By the minutes of a boot: maximum share of the tokens that instances refuse because they are full. */
const REFUSED = {
  2: { together: 0.0001, peaks: 0.006 },
  5: { together: 0.0001, peaks: 0.01 },
  20: { together: 0.0001, peaks: 0.012 },
} as const;

let scaling: Scaling;
let warmupMinutes: number;

/** The policies and the alarm as the program registers them. */
beforeAll(async () => {
  const { registered } = await runProgram({
    allowedCidrs: ["203.0.113.0/24"],
    domain: "embeddings.example.com",
    instancesMin: MIN,
    instancesMax: MAX,
  });
  // biome-ignore lint/suspicious/noExplicitAny: inputs of resources
  const inputs = (type: string): any[] =>
    registered.filter((each) => each.type === type).map((each) => each.inputs);
  const policies = inputs("aws:autoscaling/policy:Policy");
  const tracking = policies.find(({ policyType }) => policyType === "TargetTrackingScaling");
  const simple = policies.find(({ policyType }) => policyType === "SimpleScaling");
  const alarm = inputs("aws:cloudwatch/metricAlarm:MetricAlarm").find(({ alarmActions }) => alarmActions);
  const { targetValue, disableScaleIn, customizedMetricSpecification } = tracking.targetTrackingConfiguration;
  expect([simple.adjustmentType, simple.scalingAdjustment]).toEqual(["ChangeInCapacity", -1]);
  expect([alarm.comparisonOperator, alarm.treatMissingData]).toEqual(["LessThanThreshold", "notBreaching"]);
  scaling = {
    target: targetValue,
    expression: customizedMetricSpecification.metrics.at(-1).expression,
    scaleIn: !disableScaleIn,
    removal: {
      expression: alarm.metricQueries.at(-1).expression,
      below: alarm.threshold,
      minutes: alarm.evaluationPeriods,
      cooldownMinutes: simple.cooldown / 60,
    },
  };
  warmupMinutes = tracking.estimatedInstanceWarmup / 60;
});

/** A day whose busiest five minutes need five instances at full load, after one like it. */
function scenario(requests: number[], bootMinutes: number): Scenario {
  const most = Math.max(...requests);
  return {
    ...{ instanceCapacity: INSTANCE, bootMinutes, warmupMinutes, min: MIN, max: MAX, from: DAY },
    demand: [...requests, ...requests].flatMap((each) => Array<number>(5).fill((5 * INSTANCE * each) / most)),
  };
}

function mean(values: number[]): number {
  return values.reduce((a, b) => a + b, 0) / values.length;
}

/** Hours of a day by their demand, least first. */
function hours({ demand }: Scenario): number[] {
  const total = (hour: number) => mean(demand.slice(DAY + 60 * hour, DAY + 60 * hour + 60));
  return Array.from({ length: 24 }, (_, hour) => hour).sort((a, b) => total(a) - total(b));
}

function instancesIn(day: Day, chosen: number[]): number {
  return mean(chosen.flatMap((hour) => day.instances.slice(60 * hour, 60 * hour + 60)));
}

describe.each([2, 5, 20] as const)("a fleet whose instances boot in %i minutes", (boot) => {
  it("follows a recorded day", () => {
    const given = scenario(traffic.thirteenDaysTogether, boot);
    const day = simulate(given, scaling);
    const ordered = hours(given);
    expect(day.refused).toBeLessThan(REFUSED[boot].together);
    expect(instancesIn(day, ordered.slice(-6))).toBeGreaterThan(1.4 * instancesIn(day, ordered.slice(0, 6)));
    expect(mean(day.instances)).toBeLessThan(0.65 * MAX);
  });

  it("does not oscillate", () => {
    const day = simulate(scenario(traffic.thirteenDaysTogether, boot), scaling);
    expect(turns(day)).toBeLessThanOrEqual(8);
    // None that was removed was missing soon after.
    expect(Math.min(...untilAddedAgain(day))).toBeGreaterThanOrEqual(20);
  });

  it("keeps to a load that does not change", () => {
    for (const share of [0.1, 0.5, 0.69, 0.9, 1, 1.5, 3.3, 5.5, 9]) {
      const demand = Array<number>(DAY).fill(share * INSTANCE);
      const day = simulate({ ...scenario([1], boot), demand, from: 0 }, scaling);
      // It grows once and stays.
      expect(turns(day), `${share}`).toBe(0);
      expect(day.instances.at(-1), `${share}`).toBe(Math.min(MAX, Math.ceil(share / 0.7)));
    }
  });

  it("serves traffic with sudden peaks, of four times the mean for five minutes", () => {
    const day = simulate(scenario(traffic.oneDay, boot), scaling);
    expect(day.refused).toBeLessThan(REFUSED[boot].peaks);
    expect(turns(day)).toBeLessThanOrEqual(16);
  });
});

describe("what the simulation is about", () => {
  it.each([2, 5, 20])("target tracking's own scale-in would oscillate, with a boot of %i minutes", (boot) => {
    const own = { ...scaling, scaleIn: true, removal: undefined };
    const day = simulate(scenario(traffic.thirteenDaysTogether, boot), own);
    expect(turns(day)).toBeGreaterThan(30);
  });

  it("the share of time in which a kernel runs would keep the whole fleet, whatever the load", () => {
    // 70 % at a quarter of the capacity.
    const reads = (used: number) => 100 * Math.min(1, used ** 0.25);
    const own = { ...scaling, scaleIn: true, removal: undefined };
    const day = simulate({ ...scenario(traffic.thirteenDaysTogether, 5), reads }, own);
    expect(mean(day.instances)).toBeGreaterThan(0.95 * MAX);
  });
});
