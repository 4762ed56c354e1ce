import * as pulumi from "@pulumi/pulumi";
import { rule, show } from "../settings/rule";
import type { Settings } from "../settings/table";
import { CAPACITY_BLOCK_TYPES } from "./instanceTypes";

/** How AWS bills and provides an instance. */
export const PURCHASE_OPTIONS = ["on-demand", "spot", "reservation", "capacity-block"] as const;

type PurchaseSettings = Pick<Settings, "purchaseOption" | "capacityReservationId">;

/** Inputs that an instance and a launch template share. */
export interface MarketOptions {
  instanceMarketOptions?: { marketType: string };
  capacityReservationSpecification?: { capacityReservationTarget: { capacityReservationId: string } };
}

/** The inputs that request this purchase option; none for on-demand. */
export function marketOptions({ purchaseOption, capacityReservationId }: PurchaseSettings): MarketOptions {
  return {
    // A reservation is not a market type: the instance only names its reservation.
    ...((purchaseOption === "spot" || purchaseOption === "capacity-block") && {
      instanceMarketOptions: { marketType: purchaseOption },
    }),
    ...(capacityReservationId && {
      capacityReservationSpecification: { capacityReservationTarget: { capacityReservationId } },
    }),
  };
}

/** Whether there may be capacity for one instance only, so that its successor cannot run at the same time. */
export function isReserved({ purchaseOption }: Pick<Settings, "purchaseOption">): boolean {
  return purchaseOption === "reservation" || purchaseOption === "capacity-block";
}

export const purchaseOptionRules = [
  rule(["purchaseOption", "capacityReservationId"], ({ purchaseOption, capacityReservationId }) => {
    const reserved = isReserved({ purchaseOption });
    if (reserved && capacityReservationId === undefined) {
      return [
        `capacityReservationId is not set; allowed: with purchaseOption ${purchaseOption}, the reservation's ID (cr-…)`,
      ];
    }
    if (!reserved && capacityReservationId !== undefined) {
      return [
        `capacityReservationId is ${show(capacityReservationId)}; allowed: not set with purchaseOption ${purchaseOption}, or purchaseOption reservation or capacity-block`,
      ];
    }
    return [];
  }),
  rule(["purchaseOption", "availabilityZone"], ({ purchaseOption, availabilityZone }) =>
    isReserved({ purchaseOption }) && availabilityZone === undefined
      ? [
          `availabilityZone is not set; allowed: with purchaseOption ${purchaseOption}, the zone of the reservation`,
        ]
      : [],
  ),
  rule(["purchaseOption", "accelerator", "instanceType"], ({ purchaseOption, accelerator, instanceType }) =>
    purchaseOption === "capacity-block" &&
    accelerator === "cuda" &&
    !CAPACITY_BLOCK_TYPES.includes(instanceType)
      ? [
          `instanceType is ${show(instanceType)}; allowed: with purchaseOption capacity-block, one of ${CAPACITY_BLOCK_TYPES.join(", ")}`,
        ]
      : [],
  ),
];

/** What an instance was requested with, for advice when AWS has no capacity. */
export interface CapacityRequest extends PurchaseSettings {
  instanceType: string;
  /** The zones that were requested. */
  zones: string[];
  /** All zones of the region that offer the type. */
  offered: string[];
  /** vCPUs of the type, which count against the account's quota, if they are known. */
  vcpus?: number;
}

/** AWS's errors for a lack of capacity; for an Auto Scaling group they are in the reason of a scaling activity. */
const NO_CAPACITY =
  /InsufficientInstanceCapacity|InsufficientCapacity|InsufficientReservedInstanceCapacity|ReservationCapacityExceeded|sufficient .{0,60}capacity|no Spot capacity|UnfulfillableCapacity/i;

const NO_QUOTA = /VcpuLimitExceeded|MaxSpotInstanceCountExceeded|InstanceLimitExceeded/;

/** What to change when an error means that AWS has no capacity, or that the account's quota is too small. */
export function capacityAdvice(error: string, request: CapacityRequest): string | undefined {
  const { purchaseOption, capacityReservationId, instanceType, zones, offered, vcpus } = request;
  if (NO_QUOTA.test(error)) {
    return (
      `The account's quota is too small for ${instanceType}` +
      `${vcpus ? `, which has ${vcpus} vCPUs (twice that while an instance is replaced)` : ""}: request an increase in Service Quotas ` +
      "(P on demand L-417A185B, P spot L-7212CCBC, P5 spot L-C4BD4855, G on demand L-DB2E81BA, G spot L-3819A6DF), or change instanceType or purchaseOption."
    );
  }
  if (!NO_CAPACITY.test(error)) {
    return undefined;
  }
  if (isReserved({ purchaseOption })) {
    return (
      `${capacityReservationId} has no capacity for another ${instanceType} in ${zones.join(", ")}: check its state, type, zone and free ` +
      "instances (`aws ec2 describe-capacity-reservations`), then change capacityReservationId, availabilityZone or purchaseOption."
    );
  }
  const others = offered.filter((zone) => !zones.includes(zone));
  const zoneAdvice =
    others.length > 0
      ? `set availabilityZone to another zone that offers it (${others.join(", ")})`
      : "no other zone of this region offers it, so set aws:region to another region";
  const market =
    purchaseOption === "spot"
      ? "set purchaseOption to on-demand"
      : "set purchaseOption to reservation or capacity-block and use one of your reservations";
  return `AWS has no ${purchaseOption} capacity for ${instanceType} now in ${zones.join(", ")}: ${zoneAdvice}, ${market}, or change instanceType.`;
}

/**
 * Adds advice to the error of a resource for which AWS has no capacity, followed by AWS's own message. Bind it as
 * `hooks: { onError: [hook] }`. The provider retries 25 times in up to 50 minutes before it fails (`aws:maxRetries`).
 */
export function insufficientCapacityHook(name: string, request: CapacityRequest): pulumi.ErrorHook {
  return new pulumi.ErrorHook(`${name}-capacity`, ({ errors }) => {
    const advice = capacityAdvice(errors.join("\n"), request);
    if (advice) {
      // Thrown, so that it becomes the error of the resource. A log line may be lost.
      throw new Error(`${advice} AWS returned: ${errors[0]}`);
    }
    return false;
  });
}
