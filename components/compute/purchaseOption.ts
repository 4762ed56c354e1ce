import * as pulumi from "@pulumi/pulumi";

/** How AWS rents a machine out. */
export const PURCHASE_OPTIONS = ["on-demand", "spot", "reservation", "capacity-block"] as const;
export type PurchaseOption = (typeof PURCHASE_OPTIONS)[number];

export interface Capacity {
  kind: PurchaseOption;
  /** `cr-…`, with `reservation` and `capacity-block`. */
  reservationId?: string;
}

/** What an instance and a launch template take alike. */
export interface MarketOptions {
  instanceMarketOptions?: { marketType: string };
  capacityReservationSpecification?: { capacityReservationTarget: { capacityReservationId: string } };
}

/** The inputs that ask for this capacity; none for on-demand. */
export function marketOptions({ kind, reservationId }: Capacity): MarketOptions {
  return {
    // On-demand reservations are no market: the instance only has to name its reservation.
    ...((kind === "spot" || kind === "capacity-block") && { instanceMarketOptions: { marketType: kind } }),
    ...(reservationId && {
      capacityReservationSpecification: {
        capacityReservationTarget: { capacityReservationId: reservationId },
      },
    }),
  };
}

/** Whether room for one machine is all there may be, so that a successor can only follow and not overlap. */
export function isReserved({ kind }: Capacity): boolean {
  return kind === "reservation" || kind === "capacity-block";
}

export interface CapacityChoice {
  capacity: Capacity;
  instanceType: string;
  /** The zones that were asked for. */
  zones: string[];
  /** All zones of the region that offer the type. */
  offered: string[];
  /** The quota of vCPUs that on-demand or spot machines of this type count against, as far as it is known. */
  vcpus?: number;
}

/** What AWS says when it has no machine to give; for an Auto Scaling group within the reason of an activity. */
const NO_CAPACITY =
  /InsufficientInstanceCapacity|InsufficientCapacity|InsufficientReservedInstanceCapacity|ReservationCapacityExceeded|sufficient .{0,60}capacity|no Spot capacity|UnfulfillableCapacity/i;

const NO_QUOTA = /VcpuLimitExceeded|MaxSpotInstanceCountExceeded|InstanceLimitExceeded/;

/** What to change, where an error means that AWS has no such machine or lets this account have none. */
export function capacityAdvice(error: string, choice: CapacityChoice): string | undefined {
  const { capacity, instanceType, zones, offered, vcpus } = choice;
  if (NO_QUOTA.test(error)) {
    return (
      `The account's quota is too small for ${instanceType}` +
      `${vcpus ? `, which counts ${vcpus} vCPUs (twice that while a changed machine is replaced)` : ""}: ask for more in Service Quotas ` +
      "(P on demand L-417A185B, P spot L-7212CCBC, G on demand L-DB2E81BA, G spot L-3819A6DF), or change instanceType or capacity."
    );
  }
  if (!NO_CAPACITY.test(error)) {
    return undefined;
  }
  if (isReserved(capacity)) {
    return (
      `${capacity.reservationId} has no room for another ${instanceType} in ${zones.join(", ")}: look at its state, type, zone and free ` +
      "instances (`aws ec2 describe-capacity-reservations`), then change capacityReservationId, availabilityZone or capacity."
    );
  }
  const others = offered.filter((zone) => !zones.includes(zone));
  const zoneAdvice =
    others.length > 0
      ? `set availabilityZone to another zone that offers it (${others.join(", ")})`
      : "no other zone of this region offers it, so set aws:region to another one";
  const market =
    capacity.kind === "spot"
      ? "set capacity to on-demand"
      : "set capacity to reservation or capacity-block with one that you hold";
  return `AWS has no ${instanceType} to give now as ${capacity.kind} in ${zones.join(", ")}: ${zoneAdvice}, ${market}, or change instanceType.`;
}

/**
 * Says what to change where a resource found no capacity, with AWS's own words after it. Bind it as
 * `hooks: { onError: [hook] }`. The provider itself asks AWS again, 25 times in up to 50 minutes (`aws:maxRetries` sets
 * the number), before it fails.
 */
export function insufficientCapacityHook(name: string, choice: CapacityChoice): pulumi.ErrorHook {
  return new pulumi.ErrorHook(`${name}-capacity`, ({ errors }) => {
    const advice = capacityAdvice(errors.join("\n"), choice);
    if (advice) {
      // Thrown, because it then stands beside the resource, as its error. A line of the log may be lost.
      throw new Error(`${advice} AWS said: ${errors[0]}`);
    }
    return false;
  });
}
