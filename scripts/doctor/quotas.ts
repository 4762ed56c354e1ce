import type { Settings } from "../../components/settings/table";

/** A quota of Service Quotas. */
export interface Quota {
  service: string;
  code: string;
  name: string;
}

export const VPCS: Quota = { service: "vpc", code: "L-F678F1CE", name: "VPCs per Region" };
export const ADDRESSES: Quota = { service: "ec2", code: "L-0263D0A3", name: "EC2-VPC Elastic IPs" };

/** EC2's quotas of vCPUs, each for some families of instance types. */
interface VcpuQuota {
  spot: boolean;
  families: RegExp;
  quota: Quota;
}

const VCPUS: readonly VcpuQuota[] = [
  vcpus(false, /^(g|gr|vt)\d/, "L-DB2E81BA", "Running On-Demand G and VT instances"),
  vcpus(false, /^p\d/, "L-417A185B", "Running On-Demand P instances"),
  vcpus(false, /^(a|c|d|h|i|im|is|m|r|t|z)\d/, "L-1216C47A", "Running On-Demand Standard instances"),
  vcpus(true, /^(g|gr|vt)\d/, "L-3819A6DF", "All G and VT Spot Instance Requests"),
  vcpus(true, /^p[2-4]/, "L-7212CCBC", "All P4, P3 and P2 Spot Instance Requests"),
  vcpus(true, /^p5/, "L-C4BD4855", "All P5 Spot Instance Requests"),
  vcpus(true, /^(a|c|d|h|i|im|is|m|r|t|z)\d/, "L-34B43A08", "All Standard Spot Instance Requests"),
];

function vcpus(spot: boolean, families: RegExp, code: string, name: string): VcpuQuota {
  return { spot, families, quota: { service: "ec2", code, name } };
}

/** The quota of vCPUs that an instance counts against; undefined for families that this stack does not know. */
export function vcpuQuota(instanceType: string, spot: boolean): Quota | undefined {
  return VCPUS.find((each) => each.spot === spot && each.families.test(instanceType))?.quota;
}

/** vCPUs that a stack needs. */
export interface Need {
  /** For the first deployment. */
  first: number;
  /** For the maximum number of instances and one more, which starts before it replaces an old one. */
  most: number;
}

export function neededVcpus(
  each: number,
  { instancesMin, instancesMax }: Pick<Settings, "instancesMin" | "instancesMax">,
): Need {
  return { first: each * instancesMin, most: each * (Math.max(instancesMin, instancesMax) + 1) };
}

/** The command that requests a larger quota. */
export function request({ service, code }: Quota, value: number, region: string): string {
  return `aws service-quotas request-service-quota-increase --service-code ${service} --quota-code ${code} --desired-value ${value} --region ${region}`;
}
