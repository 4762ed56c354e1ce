import { Skipped } from "../verify/row";
import type { Account } from "./account";
import { type Check, Problem } from "./check";
import { ADDRESSES, type Quota, request, VPCS } from "./quotas";
import type { Subject } from "./subject";

interface Tagged {
  Tags?: { Key?: string; Value?: string }[];
}

/** What the network and the endpoint need of the account. */
export function networkChecks(account: Account, subject: Subject): Check[] {
  const { vpcId, domain } = subject.settings;
  return [
    {
      name: "VPC quota",
      actions: "servicequotas:GetServiceQuota or ec2:DescribeVpcs",
      run: async () =>
        vpcId !== undefined
          ? new Skipped(`vpcId is ${vpcId}`)
          : oneMore(account, subject, VPCS, await account.vpcs()),
    },
    {
      name: "subnets",
      actions: "ec2:DescribeSubnets",
      run: async () => (vpcId === undefined ? new Skipped("vpcId is not set") : subnets(account, subject)),
    },
    {
      name: "Elastic IP quota",
      actions: "servicequotas:GetServiceQuota or ec2:DescribeAddresses",
      run: async () =>
        domain !== undefined
          ? new Skipped(`with domain ${domain} there is no Elastic IP address`)
          : oneMore(account, subject, ADDRESSES, await account.addresses()),
    },
    {
      name: "hosted zone",
      actions: "route53:ListHostedZones or route53:GetHostedZone",
      run: async () =>
        domain === undefined ? new Skipped("domain is not set") : hostedZone(account, subject, domain),
    },
  ];
}

/** Whether the account may have one more than the others that it has. */
async function oneMore(
  account: Account,
  { name, region }: Subject,
  quota: Quota,
  existing: Tagged[],
): Promise<string> {
  const own = ({ Tags = [] }: Tagged) => Tags.some(({ Key, Value }) => Key === "Name" && Value === name);
  const others = existing.filter((each) => !own(each)).length;
  const value = await account.quota(quota.service, quota.code);
  const seen = `${value} (${quota.code}, ${quota.name}), ${others} used by others`;
  if (others + 1 > value) {
    throw new Problem(`${seen}; this stack needs one`, request(quota, others + 1, region));
  }
  return seen;
}

/** As resolvePlacement does in a deployment. */
async function subnets(account: Account, { settings, region }: Subject): Promise<string> {
  const { vpcId, subnetIds, instanceType, availabilityZone } = settings;
  const next = `aws ec2 describe-subnets --filters Name=vpc-id,Values=${vpcId} --region ${region}, then set subnetIds`;
  const found = await account.subnets(subnetIds).catch((error: Error) => {
    throw /NotFound|Malformed/.test(error.name) ? new Problem(error.message, next) : error;
  });
  const foreign = found.find(({ VpcId }) => VpcId !== vpcId);
  if (foreign) {
    throw new Problem(`${foreign.SubnetId} is in ${foreign.VpcId}, not in vpcId ${vpcId}`, next);
  }
  const zones = found.map(({ AvailabilityZone = "" }) => AvailabilityZone);
  if (new Set(zones).size < zones.length) {
    throw new Problem(`two of ${subnetIds.join(", ")} are in one zone`, next);
  }
  const allowed = availabilityZone ? [availabilityZone] : await account.zonesOffering(instanceType);
  if (!zones.some((zone) => allowed.includes(zone))) {
    throw new Problem(`in ${zones.join(", ")}, but ${allowed.join(", ")} offer ${instanceType}`, next);
  }
  return `${subnetIds.join(", ")} in ${zones.join(", ")}`;
}

/** As findHostedZone does in a deployment. */
async function hostedZone(account: Account, { settings }: Subject, domain: string): Promise<string> {
  const { hostedZoneId } = settings;
  const next = "create a public hosted zone in Route 53, or set hostedZoneId or domain";
  const contains = (name: string) => domain === name || domain.endsWith(`.${name}`);
  if (hostedZoneId !== undefined) {
    const { name, isPrivate } = await account.zone(hostedZoneId).catch((error: Error) => {
      throw /NoSuchHostedZone|InvalidInput/.test(error.name)
        ? new Problem(`there is no hosted zone ${hostedZoneId} in this account`, next)
        : error;
    });
    if (isPrivate || !contains(name)) {
      throw new Problem(
        `hosted zone ${hostedZoneId} is ${isPrivate ? "private" : `that of ${name}`}; domain is ${domain}`,
        next,
      );
    }
    return `${name} (${hostedZoneId})`;
  }
  const [longest] = (await account.publicZones())
    .filter(({ name }) => contains(name))
    .sort((a, b) => b.name.length - a.name.length);
  if (longest === undefined) {
    throw new Problem(`this account has no public hosted zone of ${domain}`, next);
  }
  return `${longest.name} (${longest.id.replace("/hostedzone/", "")})`;
}
