import { GPU_INSTANCE_TYPES } from "../../components/compute/instanceTypes";
import { isReserved } from "../../components/compute/purchaseOption";
import type { Settings } from "../../components/settings/table";
import { estimate, type Priced } from "./estimate";
import { ASSUMED_TOKENS_PER_SECOND, HOURS_A_MONTH, INSTANCE_HOUR } from "./prices";

export interface Summarized extends Priced {
  accelerator: "cuda" | "cpu";
  purchaseOption: Settings["purchaseOption"];
  verificationTimeoutSeconds: number;
}

/** What a deployment costs and how long it takes, for the person who reads a preview. @param stack its name */
export function summary(stack: string, settings: Summarized): string {
  const { instanceType, region, accelerator, instancesMin } = settings;
  const gpus = GPU_INSTANCE_TYPES[instanceType];
  const each = accelerator === "cpu" || !gpus ? "" : ` (${gpus.count} × ${gpus.model})`;
  return [
    `${instancesMin} × ${instanceType}${each} in ${region}. ${cost(stack, settings)}`,
    "A new instance needs about a quarter of an hour before it serves: it installs packages and downloads weights. " +
      `The update waits up to ${Math.round(settings.verificationTimeoutSeconds / 60)} minutes for it, and fails if the endpoint does not pass the checks.`,
    interruption(settings),
  ].join("\n");
}

/** What a changed instance means for clients. */
function interruption({ domain, purchaseOption }: Summarized): string {
  if (domain !== undefined) {
    return "If the plan changes the LaunchTemplate, instances are replaced one after another while the others serve.";
  }
  return isReserved({ purchaseOption })
    ? "If the plan replaces the Instance, the endpoint does not respond until the new one serves: the reservation may have capacity for one only."
    : "If the plan creates an Instance and deletes the old one, the old one serves until the new one does; both run for that time. Requests that take longer than drainSeconds are cut. If it replaces the Instance, as for a new image, the same holds.";
}

/** Prices are those of one region, on demand, for the types that have one. */
function cost(stack: string, settings: Summarized): string {
  const price = INSTANCE_HOUR[settings.instanceType];
  if (!price || settings.region !== "us-east-1" || settings.accelerator === "cpu") {
    return "No price is known for it.";
  }
  const { hour, month } = estimate(settings, {
    tokensPerSecond: ASSUMED_TOKENS_PER_SECOND,
    hours: HOURS_A_MONTH,
  });
  const less =
    settings.purchaseOption === "on-demand"
      ? ""
      : ` (this stack's purchaseOption is ${settings.purchaseOption})`;
  return (
    `About ${hour.toFixed(2)} US dollars per hour and ${Math.round(month).toLocaleString("en-US")} per month on demand${less}; ` +
    `see npm run cost -- --stack ${stack}.`
  );
}
