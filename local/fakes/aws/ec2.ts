import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { InputError, type Props, type ResourceDefinition } from "../framework";
import { arn, currentRegion, ec2Id } from "./account";

/** Addresses in use, stored in the environment's folder because providers are restarted with each update. */
interface Addresses {
  /** Instance IDs by private address. */
  private: Record<string, string>;
  /** Allocation IDs by public address. */
  public: Record<string, string>;
  /** Instance IDs by allocation ID. */
  associations?: Record<string, string>;
}

const PRIVATE_RANGE = { first: 10, last: 199 };
const PUBLIC_RANGE = { first: 200, last: 250 };

const instance: ResourceDefinition = {
  inputs: [
    ...[
      "ami",
      "instanceType",
      "subnetId",
      "vpcSecurityGroupIds",
      "associatePublicIpAddress",
      "iamInstanceProfile",
    ],
    ...["userData", "userDataReplaceOnChange", "metadataOptions", "rootBlockDevice", "ebsOptimized"],
    ...["tags", "volumeTags", "instanceMarketOptions", "capacityReservationSpecification"],
  ],
  replaceOn: (olds, news) =>
    [
      ...["ami", "subnetId", "associatePublicIpAddress", "instanceMarketOptions"],
      // Otherwise EC2 stops and starts the instance, and cloud-init does not run the new document.
      ...(news.userDataReplaceOnChange === true ? ["userData"] : []),
    ].filter((name) => JSON.stringify(olds[name]) !== JSON.stringify(news[name])),
  check: (inputs) => {
    const size = typeof inputs.userData === "string" ? Buffer.byteLength(inputs.userData) : 0;
    if (size > 16384) {
      throw new InputError("userData", `is ${size} bytes; EC2 allows 16384`);
    }
    return inputs;
  },
  create: async (inputs, context) => {
    requireCapacity("creating EC2 Instance: operation error EC2: RunInstances, StatusCode: 500, api error ");
    const id = ec2Id("i");
    const privateIp = takeAddress("private", PRIVATE_RANGE, id);
    context.log(`booting ${id} from its user data`);
    try {
      await machines()?.launchInstance({
        instanceId: id,
        imageId: inputs.ami as string,
        userData: inputs.userData as string,
        instanceProfile: inputs.iamInstanceProfile as string | undefined,
        privateIp,
        region: currentRegion(),
      });
    } catch (error) {
      await machines()?.terminateInstance(id);
      releaseAddress("private", privateIp);
      throw error;
    }
    return { id, outputs: { arn: arn("ec2", `instance/${id}`), privateIp, instanceState: "running" } };
  },
  // A refresh removes an instance that was terminated.
  read: async (id, olds) => {
    const local = machines();
    if (local === undefined || local.isLaunched(id)) {
      return { id, outputs: {} };
    }
    await local.terminateInstance(id);
    releaseAddress("private", olds.privateIp as string);
    return undefined;
  },
  // Tags and this flag change on a running instance; the other properties require a stop.
  update: async (_id, olds, news) => {
    for (const name of [
      "userData",
      "instanceType",
      "rootBlockDevice",
      "metadataOptions",
      "iamInstanceProfile",
      "capacityReservationSpecification",
    ]) {
      if (JSON.stringify(olds[name]) !== JSON.stringify(news[name])) {
        throw new InputError(name, "the local fake cannot change it on a running instance");
      }
    }
    return {};
  },
  delete: async (id, olds) => {
    await machines()?.terminateInstance(id);
    releaseAddress("private", olds.privateIp as string);
  },
};

const eip: ResourceDefinition = {
  inputs: ["domain", "tags"],
  replaceOn: ["domain"],
  create: async () => {
    const id = ec2Id("eipalloc");
    const publicIp = takeAddress("public", PUBLIC_RANGE, id);
    return { id, outputs: { allocationId: id, publicIp, arn: arn("ec2", `elastic-ip/${id}`) } };
  },
  update: async () => ({}),
  delete: async (_id, olds) => releaseAddress("public", olds.publicIp as string),
};

const eipAssociation: ResourceDefinition = {
  inputs: ["allocationId", "instanceId", "allowReassociation"],
  replaceOn: ["allocationId", "instanceId", "allowReassociation"],
  create: async (inputs) => {
    const id = ec2Id("eipassoc");
    const publicIp = publicAddress(inputs.allocationId as string);
    await machines()?.attachAddress(inputs.instanceId as string, publicIp);
    associate(inputs.allocationId as string, inputs.instanceId as string);
    return { id, outputs: { publicIp } };
  },
  // An association that another one replaced no longer exists.
  delete: async (_id, olds) => {
    await machines()?.detachAddress(olds.publicIp as string, olds.instanceId as string);
    if (readAddresses().associations?.[olds.allocationId as string] === olds.instanceId) {
      associate(olds.allocationId as string, undefined);
    }
  },
};

export const ec2: Record<string, ResourceDefinition> = {
  "aws:ec2/instance:Instance": instance,
  "aws:ec2/eip:Eip": eip,
  "aws:ec2/eipAssociation:EipAssociation": eipAssociation,
};

/** The error of EC2 for a lack of capacity, raised if a test requests it. */
export function requireCapacity(operation: string): void {
  if (process.env.QWEN3_LOCAL_NO_CAPACITY) {
    throw new Error(
      `${operation}InsufficientInstanceCapacity: We currently do not have sufficient capacity in the Availability Zone you requested.`,
    );
  }
}

/** The invoke `aws.ec2.getInstanceTypeOfferings`: every well-formed type is offered, in two zones. */
export async function getInstanceTypeOfferings(args: Props): Promise<Props> {
  const filters = (args.filters ?? []) as { name: string; values: string[] }[];
  const types = filters.find(({ name }) => name === "instance-type")?.values ?? [];
  const zones = [`${currentRegion()}a`, `${currentRegion()}b`];
  return {
    ...args,
    id: currentRegion(),
    instanceTypes: types.flatMap((type) => zones.map(() => type)),
    locations: types.flatMap(() => zones),
    locationTypes: types.flatMap(() => zones.map(() => "availability-zone")),
  };
}

/** The invoke `aws.getAvailabilityZones`, for a load balancer whose instance type is offered in one zone. */
export async function getAvailabilityZones(args: Props): Promise<Props> {
  const zones = [`${currentRegion()}a`, `${currentRegion()}b`, `${currentRegion()}c`];
  return { ...args, id: currentRegion(), names: zones, zoneIds: zones };
}

/** The module that boots instances, unless the environment only records them, as the engine tests do. */
function machines(): typeof import("../../container") | undefined {
  return process.env.QWEN3_LOCAL_MACHINES === "none" ? undefined : require("../../container");
}

function takeAddress(
  kind: "private" | "public",
  range: { first: number; last: number },
  owner: string,
): string {
  const addresses = readAddresses();
  for (let last = range.first; last <= range.last; last++) {
    const address = `${subnet()}.${last}`;
    if (!(address in addresses[kind])) {
      writeAddresses({ ...addresses, [kind]: { ...addresses[kind], [address]: owner } });
      return address;
    }
  }
  throw new Error(`AddressLimitExceeded: the local network ${subnet()}.0/24 has no ${kind} address left`);
}

function releaseAddress(kind: "private" | "public", address: string): void {
  const addresses = readAddresses();
  delete addresses[kind][address];
  writeAddresses(addresses);
}

function associate(allocationId: string, instanceId: string | undefined): void {
  const { associations, ...addresses } = readAddresses();
  const others = Object.entries(associations ?? {}).filter(([allocation]) => allocation !== allocationId);
  const own = instanceId === undefined ? [] : [[allocationId, instanceId] as const];
  writeAddresses({ ...addresses, associations: Object.fromEntries([...others, ...own]) });
}

function publicAddress(allocationId: string): string {
  const found = Object.entries(readAddresses().public).find(([, owner]) => owner === allocationId);
  if (!found) {
    throw new Error(`InvalidAllocationID.NotFound: ${allocationId}`);
  }
  return found[0];
}

function subnet(): string {
  return required("QWEN3_LOCAL_SUBNET");
}

function addressesPath(): string {
  return join(required("QWEN3_LOCAL_STATE"), "addresses.json");
}

function readAddresses(): Addresses {
  return existsSync(addressesPath())
    ? (JSON.parse(readFileSync(addressesPath(), "utf8")) as Addresses)
    : { private: {}, public: {} };
}

function writeAddresses(addresses: Addresses): void {
  mkdirSync(required("QWEN3_LOCAL_STATE"), { recursive: true });
  writeFileSync(`${addressesPath()}.partial`, JSON.stringify(addresses));
  renameSync(`${addressesPath()}.partial`, addressesPath());
}

function required(name: string): string {
  const value = process.env[name];
  if (!value) {
    throw new Error(`${name} is not set: the fake AWS provider runs through \`npm start\` and the tests`);
  }
  return value;
}
