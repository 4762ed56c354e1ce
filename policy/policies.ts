import type { Policies } from "@pulumi/policy";
import { machinePolicies } from "./machine";
import { networkPolicies } from "./network";
import { rightsPolicies } from "./rights";
import { storagePolicies } from "./storage";

/** All policies. */
export const policies: Policies = [
  ...networkPolicies,
  ...machinePolicies,
  ...storagePolicies,
  ...rightsPolicies,
];
