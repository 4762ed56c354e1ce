import { readFileSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "../../scripts/lib/paths";

/** An IAM policy in the form of the repository's own: actions are lists. */
export interface Policy {
  Version?: string;
  Statement: Statement[];
}

export interface Statement {
  Sid: string;
  Effect: "Allow" | "Deny";
  Action: string[];
  Resource: string | string[];
  Condition?: Record<string, Record<string, string | string[]>>;
}

function read(name: string) {
  const file = join(ROOT, "docs/reference", name);
  return { file, policy: JSON.parse(readFileSync(file, "utf8")) as Policy };
}

/** The policies of the deployer: for every stack, and in addition for fleets. */
export const DEPLOYER_POLICIES = {
  single: read("deployer-policy.json"),
  fleet: read("deployer-policy-fleet.json"),
};

export const PERMISSIONS_BOUNDARY = read("permissions-boundary.json");
