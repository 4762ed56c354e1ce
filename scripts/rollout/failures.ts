import type { AutoScalingClient } from "@aws-sdk/client-auto-scaling";
import { type CapacityRequest, capacityAdvice } from "../../components/compute/purchaseOption";
import { failedActivities, reasonOf } from "../lib/autoScaling";

/** Activities before this may be of the group's creation, which precedes this program. */
const BEFORE_MS = 60_000;

/** The scaling activities that failed, each reported once. */
export class Failures {
  readonly #since = new Date(Date.now() - BEFORE_MS);
  readonly #reported = new Set<string>();
  #last: string | undefined;

  constructor(
    private readonly client: AutoScalingClient,
    private readonly group: string,
    private readonly capacity: CapacityRequest,
    private readonly progress: (line: string) => void,
  ) {}

  /** Shows what failed since the last call. */
  async report(): Promise<void> {
    // Oldest first.
    for (const activity of (await failedActivities(this.client, this.group, this.#since)).reverse()) {
      const reason = reasonOf(activity);
      const advice = capacityAdvice(reason, this.capacity);
      this.#last = advice ? `${advice} AWS returned: ${reason}` : `AWS returned: ${reason}`;
      // A group that finds no capacity repeats the same reason for every attempt.
      if (!this.#reported.has(reason)) {
        this.#reported.add(reason);
        this.progress(`an instance was not launched, the group tries again: ${this.#last}`);
      }
    }
  }

  /** The last failure, or where to look. */
  last(): string {
    return (
      this.#last ??
      `No launch failed: see how far the boot has progressed with aws ssm start-session --target INSTANCE, then ` +
        `journalctl --namespace='*' -u 'qwen3-*'; the instances: aws autoscaling describe-scaling-activities ` +
        `--auto-scaling-group-name ${this.group}`
    );
  }
}
