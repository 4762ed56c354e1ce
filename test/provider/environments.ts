import type { Given } from "./emulator";
import type { Environment } from "./record";

/** An environment of the repository, or one that a user could create. */
export interface ProviderEnvironment extends Environment {
  /** Only planned by the AWS provider, because the emulator does not support it. */
  planOnly?: boolean;
  /** Whether the deployer also needs the policy for fleets. */
  fleet?: boolean;
}

/** By name. `given` is what the account has before. */
export function environments(given: Given): Record<string, ProviderEnvironment> {
  const zones = Object.keys(given.subnets).sort().slice(0, 2);
  const { permissionsBoundary } = given;
  const fleet = {
    permissionsBoundary,
    domain: `embeddings.${given.domain}`,
    instancesMin: 2,
    instancesMax: 3,
    protect: false,
  };
  return {
    dev: {
      stack: "dev",
      configuration: "Pulumi.dev.yaml",
      values: {
        permissionsBoundary,
        stopSchedule: "0 20 ? * MON-FRI *",
        startSchedule: "0 7 ? * MON-FRI *",
        scheduleTimezone: "Europe/Berlin",
        budgetMonthlyUsd: 500,
        budgetEmails: ["ops@example.com"],
      },
    },
    prod: { stack: "prod", configuration: "Pulumi.prod.yaml", values: { permissionsBoundary } },
    local: { stack: "local", configuration: "Pulumi.local.yaml", values: { permissionsBoundary } },
    fleet: { stack: "fleet", configuration: "Pulumi.prod.yaml", values: fleet, fleet: true },
    internal: {
      stack: "internal",
      fleet: true,
      configuration: "Pulumi.prod.yaml",
      values: {
        ...fleet,
        internal: true,
        vpcId: given.vpcId,
        subnetIds: zones.map((zone) => given.subnets[zone]),
        createVpcEndpoints: true,
        allowedCidrs: [given.cidrBlock],
        allowPublicAccess: false,
        modelSource: "s3://qwen3-local-models/tiny-qwen3",
      },
    },
    spot: {
      stack: "spot",
      configuration: "Pulumi.dev.yaml",
      values: { permissionsBoundary, purchaseOption: "spot" },
      planOnly: true,
    },
    reservation: {
      stack: "reservation",
      configuration: "Pulumi.dev.yaml",
      values: {
        permissionsBoundary,
        purchaseOption: "reservation",
        capacityReservationId: "cr-0123456789abcdef0",
        availabilityZone: zones[0],
      },
      planOnly: true,
    },
  };
}
