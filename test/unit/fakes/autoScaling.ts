/**
 * A simulation of an Auto Scaling group and its CloudWatch alarms, a minute at a time, as far as AWS documents them:
 *
 * - Target tracking adds instances after three values above its target, in proportion to the last one, and removes them
 *   after fifteen below 90 % of it, unless its scale-in is disabled. What it adds is counted from the instances that are
 *   not warming up, and never adds to what is booting already.
 *   https://docs.aws.amazon.com/autoscaling/ec2/userguide/as-scaling-target-tracking.html
 *   https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-default-instance-warmup.html
 * - An alarm acts when all of its last values breach, and its simple scaling policy again after its cooldown.
 * - A value counts a minute after it was published.
 *
 * Not in it: failed launches, and how fast an alarm with missing data recovers.
 */

/** What an instance publishes in a minute. */
interface Published {
  rate: number;
  waiting: number;
  capacity: number;
}

export interface Scaling {
  /** Of the target tracking policy. */
  target: number;
  expression: string;
  scaleIn: boolean;
  /** Of the alarm that removes one instance, if there is one. */
  removal?: { expression: string; below: number; minutes: number; cooldownMinutes: number };
}

export interface Scenario {
  /** Tokens per second in each minute. */
  demand: number[];
  /** Tokens per second that one instance can compute. */
  instanceCapacity: number;
  /** From the launch to service. */
  bootMinutes: number;
  warmupMinutes: number;
  min: number;
  max: number;
  /** The minute from which the result counts. Before it, the group has time to adjust. */
  from: number;
  /** In place of what an instance measures: its percentage by the share of its capacity that is used. */
  reads?: (used: number) => number;
}

export interface Day {
  /** Instances in service in each minute. */
  instances: number[];
  /** The minute and the number of instances added or removed. */
  changes: [minute: number, by: number][];
  /** Share of the tokens that were refused, because instances were full. */
  refused: number;
}

/** Seconds of work that an instance lets wait; it refuses more. */
const QUEUE_SECONDS = 4;
const HIGH = 3;
const LOW = 15;

export function simulate(scenario: Scenario, scaling: Scaling): Day {
  const { demand, instanceCapacity: one, bootMinutes, warmupMinutes, min, max, from, reads } = scenario;
  const fullness = formula(scaling.expression);
  const spare = scaling.removal && formula(scaling.removal.expression);
  // By instance, the minute in which it enters service.
  let members = Array.from({ length: min }, () => Number.NEGATIVE_INFINITY);
  const [high, low]: [number[], (number | undefined)[]] = [[], []];
  const day: Day = { instances: [], changes: [], refused: 0 };
  let [backlog, refused, removed] = [0, 0, Number.NEGATIVE_INFINITY];
  const change = (minute: number, by: number) => {
    if (minute >= from) {
      day.changes.push([minute, by]);
    }
    members =
      by > 0
        ? [...members, ...Array.from({ length: by }, () => minute + bootMinutes)]
        : members.sort((a, b) => a - b).slice(0, members.length + by);
  };
  for (let minute = 0; minute < demand.length; minute += 1) {
    // What the alarms do is by the values of the minutes before.
    const warm = members.filter((since) => since + warmupMinutes <= minute).length;
    const wanted = Math.min(max, Math.ceil((warm * (high.at(-1) ?? 0)) / scaling.target - 1e-9));
    if (last(high, HIGH, (value) => value > scaling.target) && wanted > members.length) {
      change(minute, wanted - members.length);
    } else if (warm === members.length) {
      const fewer = Math.max(min, wanted);
      const { removal } = scaling;
      if (scaling.scaleIn && last(high, LOW, (value) => value < 0.9 * scaling.target) && fewer < warm) {
        change(minute, fewer - warm);
      } else if (
        removal &&
        warm > min &&
        minute - removed >= removal.cooldownMinutes &&
        last(low, removal.minutes, (value) => value !== undefined && value < removal.below)
      ) {
        change(minute, -1);
        removed = minute;
      }
    }

    const serving = members.filter((since) => since <= minute).length;
    const work = demand[minute]! + backlog / 60;
    const rate = Math.min(work, serving * one);
    const left = (work - rate) * 60;
    backlog = Math.min(left, serving * one * QUEUE_SECONDS);
    if (minute >= from) {
      refused += (left - backlog) / 60;
      day.instances.push(serving);
    }

    // All instances have the same share; the group's metrics are sums.
    const sums: Published = { rate, waiting: backlog, capacity: serving * one };
    high.push(reads ? reads(rate / sums.capacity) : fullness(sums, serving)!);
    low.push(spare?.(sums, serving));
  }
  day.refused = refused / demand.slice(from).reduce((a, b) => a + b, 0);
  return day;
}

/** How often the group turns from adding to removing, or back. */
export function turns({ changes }: Day): number {
  return changes.filter(([, by], index) => index > 0 && by * changes[index - 1]![1] < 0).length;
}

/** Minutes from each removal to the next addition, if there is one. */
export function untilAddedAgain({ changes }: Day): number[] {
  return changes.flatMap(([minute, by], index) => {
    const next = changes[index + 1];
    return by < 0 && next && next[1] > 0 ? [next[0] - minute] : [];
  });
}

function last<T>(values: T[], count: number, holds: (value: T) => boolean): boolean {
  return values.length >= count && values.slice(-count).every(holds);
}

/** An expression of CloudWatch's metric math that JavaScript reads in the same way. No value if it divides by zero. */
function formula(expression: string): (sums: Published, instances: number) => number | undefined {
  if (!/^[\w\s()+\-*/]+$/.test(expression)) {
    throw new Error(`not arithmetic: ${expression}`);
  }
  const evaluate = new Function("rate", "waiting", "capacity", "instances", `return ${expression}`);
  return ({ rate, waiting, capacity }, instances) => {
    const value = Number(evaluate(rate, waiting, capacity, instances));
    return Number.isFinite(value) ? value : undefined;
  };
}
