import type { Environment } from "./record";

/** The environments of the repository, each with what its stack would set besides. */
export const ENVIRONMENTS: Record<string, Environment> = {
  dev: { stack: "dev", configuration: "Pulumi.dev.yaml" },
  prod: { stack: "prod", configuration: "Pulumi.prod.yaml" },
  local: { stack: "local", configuration: "Pulumi.local.yaml" },
};
