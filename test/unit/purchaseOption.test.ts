import { describe, expect, it } from "vitest";
import { type CapacityRequest, capacityAdvice } from "../../components/compute/purchaseOption";

const request: CapacityRequest = {
  purchaseOption: "on-demand",
  capacityReservationId: undefined,
  instanceType: "p4d.24xlarge",
  zones: ["us-east-1a"],
  offered: ["us-east-1a", "us-east-1b", "us-east-1d"],
  vcpus: 96,
};

/** AWS's error text, as the provider returns it. */
const NONE =
  "creating EC2 Instance: operation error EC2: RunInstances, exceeded maximum number of attempts, 25, https response error " +
  "StatusCode: 500, RequestID: 1, api error InsufficientInstanceCapacity: We currently do not have sufficient p4d.24xlarge " +
  "capacity in the Availability Zone you requested (us-east-1a).";

describe("capacityAdvice", () => {
  it("names the other zones, the setting and the type", () => {
    expect(capacityAdvice(NONE, request)).toBe(
      "AWS has no on-demand capacity for p4d.24xlarge now in us-east-1a: set availabilityZone to another zone that offers it " +
        "(us-east-1b, us-east-1d), set purchaseOption to reservation or capacity-block and use one of your reservations, or change instanceType.",
    );
  });

  it("suggests another region if no other zone offers the type", () => {
    expect(capacityAdvice(NONE, { ...request, offered: ["us-east-1a"] })).toMatch(
      /set aws:region to another region/,
    );
  });

  it.each([
    "Launching a new EC2 instance. Status Reason: There is no Spot capacity available that matches your request.",
    "UnfulfillableCapacity",
  ])("suggests on-demand instead of spot: %s", (error) => {
    expect(capacityAdvice(error, { ...request, purchaseOption: "spot" })).toMatch(
      /set purchaseOption to on-demand/,
    );
  });

  it("names the reservation that is full", () => {
    const reserved = {
      purchaseOption: "capacity-block",
      capacityReservationId: "cr-0123456789abcdef0",
    } as const;
    expect(capacityAdvice("ReservationCapacityExceeded: no room", { ...request, ...reserved })).toMatch(
      /cr-0123456789abcdef0 has no capacity .* change capacityReservationId, availabilityZone or purchaseOption/,
    );
  });

  it("distinguishes a quota from a lack of capacity", () => {
    const error =
      "VcpuLimitExceeded: You have requested more vCPU capacity than your current vCPU limit of 0 allows";
    expect(capacityAdvice(error, request)).toMatch(
      /quota is too small for p4d.24xlarge, which has 96 vCPUs .*L-417A185B/,
    );
  });

  it.each(["UnauthorizedOperation: You are not authorized", "InvalidAMIID.NotFound", ""])(
    "has no advice for another error: %s",
    (error) => {
      expect(capacityAdvice(error, request)).toBeUndefined();
    },
  );
});
