import type { Instance } from "@aws-sdk/client-ec2";
import { isReserved } from "../../components/compute/purchaseOption";
import { ZONE } from "../../components/settings/formats";
import { Skipped } from "../verify/row";
import type { Account } from "./account";
import { type Check, Problem, Warning } from "./check";
import { neededVcpus, request, vcpuQuota } from "./quotas";
import type { Subject } from "./subject";

/** Whether the instances can be had: type, zones, reservation, quota. */
export function capacityChecks(account: Account, subject: Subject): Check[] {
  return [
    {
      name: "instance type",
      actions: "ec2:DescribeInstanceTypes",
      run: async () => `${subject.settings.instanceType}, ${await vcpusOfType(account, subject)} vCPUs`,
    },
    {
      name: "zones",
      actions: "ec2:DescribeInstanceTypeOfferings",
      run: () => zones(account, subject),
    },
    {
      name: "capacity reservation",
      actions: "ec2:DescribeCapacityReservations",
      run: () => reservation(account, subject),
    },
    {
      name: "vCPU quota",
      actions: "servicequotas:GetServiceQuota, ec2:DescribeInstances or ec2:DescribeInstanceTypes",
      run: () => vcpuQuotaSuffices(account, subject),
    },
  ];
}

async function vcpusOfType(account: Account, { settings, region }: Subject): Promise<number> {
  const { instanceType } = settings;
  const vcpus = (await account.vcpus([instanceType])).get(instanceType);
  if (vcpus === undefined) {
    throw new Problem(`${region} has no ${instanceType}`, "set instanceType or aws:region");
  }
  return vcpus;
}

/** As resolvePlacement does in a deployment. */
async function zones(account: Account, { settings, region }: Subject): Promise<string> {
  const { instanceType, availabilityZone, domain } = settings;
  const offered = (await account.zonesOffering(instanceType)).filter((zone) => ZONE.test(zone));
  if (offered.length === 0) {
    throw new Problem(
      `no zone of ${region} offers ${instanceType}`,
      `set instanceType or aws:region; aws ec2 describe-instance-type-offerings --filters Name=instance-type,Values=${instanceType} --region REGION lists what a region offers`,
    );
  }
  if (availabilityZone !== undefined && !offered.includes(availabilityZone)) {
    throw new Problem(
      `${availabilityZone} does not offer ${instanceType}; ${offered.join(", ")} do`,
      "set availabilityZone to one of them",
    );
  }
  const used = availabilityZone ?? (domain === undefined ? offered[0]! : "all of them");
  return `${offered.join(", ")} offer ${instanceType}; used: ${used}`;
}

async function reservation(account: Account, subject: Subject): Promise<string | Skipped | Warning> {
  const { purchaseOption, capacityReservationId, instanceType, availabilityZone } = subject.settings;
  if (!isReserved({ purchaseOption })) {
    return new Skipped(`purchaseOption is ${purchaseOption}`);
  }
  const next = `aws ec2 describe-capacity-reservations --region ${subject.region}, then set capacityReservationId`;
  const found = await account.capacityReservation(capacityReservationId!).catch((error: Error) => {
    throw /NotFound/.test(error.name) ? new Problem(`there is no ${capacityReservationId}`, next) : error;
  });
  if (!found) {
    throw new Problem(`there is no ${capacityReservationId}`, next);
  }
  const { State, InstanceType, AvailabilityZone, AvailableInstanceCount = 0, StartDate } = found;
  if (InstanceType !== instanceType || AvailabilityZone !== availabilityZone) {
    throw new Problem(
      `${capacityReservationId} is for ${InstanceType} in ${AvailabilityZone}, not for ${instanceType} in ${availabilityZone}`,
      "set instanceType and availabilityZone to those of the reservation",
    );
  }
  if (State === "scheduled") {
    return new Warning(
      `${capacityReservationId} begins at ${StartDate?.toISOString()}`,
      "deploy after that: until then AWS has no capacity in it",
    );
  }
  if (State !== "active") {
    throw new Problem(`${capacityReservationId} is ${State}`, next);
  }
  const own = await ownInstances(account, subject);
  if (AvailableInstanceCount < 1 && own.length === 0) {
    throw new Problem(
      `${capacityReservationId} has no free instance`,
      "stop what runs in it, or use another one",
    );
  }
  return `${capacityReservationId} is active, ${AvailableInstanceCount} free`;
}

async function vcpuQuotaSuffices(account: Account, subject: Subject): Promise<string | Skipped | Warning> {
  const { settings, region } = subject;
  const { instanceType, purchaseOption } = settings;
  if (isReserved({ purchaseOption })) {
    return new Skipped("reserved capacity has counted against the quota since it was reserved");
  }
  const spot = purchaseOption === "spot";
  const quota = vcpuQuota(instanceType, spot);
  if (quota === undefined) {
    return new Skipped(`the quota of ${instanceType} is not known to this command: check Service Quotas`);
  }
  const { first, most } = neededVcpus(await vcpusOfType(account, subject), settings);
  const value = await account.quota(quota.service, quota.code);
  const others = await vcpusOfOthers(account, subject, quota.code, spot);
  const seen = `${value} vCPUs (${quota.code}, ${quota.name}), ${others} used by other instances`;
  const next = request(quota, others + most, region);
  if (value - others < first) {
    throw new Problem(`${seen}; this stack needs ${first}, and ${most} while it replaces an instance`, next);
  }
  if (value - others < most) {
    return new Warning(
      `${seen}; enough for the first ${first}, but the stack needs ${most} to replace an instance at its maximum size`,
      next,
    );
  }
  return `${seen}; needed: ${most}, with one instance more than the maximum during a replacement`;
}

/** vCPUs of running instances that count against the same quota and are not this stack's. */
async function vcpusOfOthers(
  account: Account,
  subject: Subject,
  code: string,
  spot: boolean,
): Promise<number> {
  const own = new Set(await ownInstances(account, subject));
  const types = (await account.instances())
    .filter((instance) => !own.has(instance) && (instance.InstanceLifecycle === "spot") === spot)
    .map(({ InstanceType }) => String(InstanceType))
    .filter((type) => vcpuQuota(type, spot)?.code === code);
  const vcpus = await account.vcpus(types);
  return types.reduce((sum, type) => sum + (vcpus.get(type) ?? 0), 0);
}

/** Pending and running instances with this stack's name. */
export async function ownInstances(account: Account, { name }: Subject): Promise<Instance[]> {
  const instances = await account.instances();
  return instances.filter(({ Tags = [] }) => Tags.some(({ Key, Value }) => Key === "Name" && Value === name));
}
