import { Region } from "@pulumi/aws/types/enums";
import * as pulumi from "@pulumi/pulumi";
import { type Accelerator, DEFAULT_MODEL_SOURCE, MODEL } from "../bundle/instanceConfig";
import { memoryProblem } from "../compute/gpuMemory";
import { CAPACITY_BLOCK_TYPES, GPU_INSTANCE_TYPES } from "../compute/instanceTypes";
import { type Capacity, PURCHASE_OPTIONS, type PurchaseOption } from "../compute/purchaseOption";
import { isCron, isTimezone } from "../operations/cron";

/** The stack's configuration, checked. Pulumi.yaml describes each setting and holds its default. */
export interface Settings {
  region: string;
  instanceType: string;
  accelerator: Accelerator;
  /** Where machines run; undefined for the first zone that offers the type, or for all of them in a fleet. */
  availabilityZone: string | undefined;
  capacity: Capacity;
  /** Name of the endpoint; with one, machines stand behind a load balancer. */
  domain: string | undefined;
  /** Route 53 zone of the domain; undefined to look it up. */
  hostedZoneId: string | undefined;
  /** Machines of a fleet. */
  instances: { min: number; max: number };
  /** An existing VPC to run in. */
  existingVpc: { vpcId: string; subnetIds: string[] } | undefined;
  /** No way to or from the internet. */
  internal: boolean;
  /** Whether the stack makes the VPC endpoints that a machine without internet needs. */
  createVpcEndpoints: boolean;
  /** Workers on the machine: one a GPU, or on a CPU as many as were asked for. */
  workers: number;
  /** Client names, the first one being the default. */
  clients: string[];
  /** Seconds for which the previous key still works. */
  keyGraceSeconds: number;
  /** Days for which a deleted secret can be restored; 0 deletes at once. */
  secretRecoveryDays: number;
  allowedCidrs: string[];
  modelSource: string;
  modelSha256: string | undefined;
  /** Where Python packages come from; undefined for PyPI. */
  packageMirror: string | undefined;
  /** The machines' image; undefined for AWS's latest. */
  imageId: string | undefined;
  /** Whether the weights are the published ones, so that the model card's similarities must hold. */
  publishedWeights: boolean;
  contextLength: number;
  memFractionStatic: number;
  maxInputs: number;
  maxBodyBytes: number;
  rootVolumeGib: number;
  protect: boolean;
  awsEndpointUrl: string | undefined;
  /** The AWS profile of the deployer, where the stack's configuration names one. */
  awsProfile: string | undefined;
  httpsProxy: string | undefined;
  verificationTimeoutSeconds: number;
  /** When a single machine stops and starts. */
  schedule: { stop: string; start?: string; timezone: string } | undefined;
  /** Mail on the account's cost of a month. */
  budget: { monthlyUsd: number; emails: string[] } | undefined;
}

/** What the checks answer; the AWS profile is the deployer's own. */
type CheckedSettings = Omit<Settings, "awsProfile">;

/** Settings as they are written, before any check. */
export type RawSettings = Record<string, unknown>;

const NAMES = [
  "instanceType",
  "availabilityZone",
  "capacity",
  "capacityReservationId",
  "instancesMin",
  "instancesMax",
  "domain",
  "hostedZoneId",
  "vpcId",
  "subnetIds",
  "internal",
  "createVpcEndpoints",
  "accelerator",
  "clients",
  "keyGraceSeconds",
  "secretRecoveryDays",
  "allowedCidrs",
  "allowPublicAccess",
  "modelSource",
  "modelSha256",
  "packageMirror",
  "imageId",
  "publishedWeights",
  "contextLength",
  "memFractionStatic",
  "maxInputs",
  "maxBodyBytes",
  "rootVolumeGib",
  "protect",
  "awsEndpointUrl",
  "httpsProxy",
  "verificationTimeoutSeconds",
  "stopSchedule",
  "startSchedule",
  "scheduleTimezone",
  "budgetMonthlyUsd",
  "budgetEmails",
  "cpuWorkers",
] as const;
type Name = (typeof NAMES)[number];

/** Defaults of Pulumi.yaml, for a program that runs without it. A test holds the two together. */
export const DEFAULTS = {
  instanceType: "g6e.xlarge",
  capacity: "on-demand",
  instancesMin: 1,
  instancesMax: 1,
  subnetIds: [],
  internal: false,
  createVpcEndpoints: false,
  accelerator: "cuda",
  clients: ["default"],
  keyGraceSeconds: 3600,
  secretRecoveryDays: 7,
  allowedCidrs: [],
  allowPublicAccess: false,
  modelSource: DEFAULT_MODEL_SOURCE,
  publishedWeights: true,
  contextLength: MODEL.contextLength,
  memFractionStatic: 0.85,
  maxInputs: 2048,
  maxBodyBytes: 8388608,
  rootVolumeGib: 150,
  protect: false,
  verificationTimeoutSeconds: 2700,
  scheduleTimezone: "UTC",
  budgetMonthlyUsd: 0,
  budgetEmails: [],
  cpuWorkers: 1,
  // Optional: empty is not set.
  availabilityZone: "",
  capacityReservationId: "",
  domain: "",
  hostedZoneId: "",
  vpcId: "",
  modelSha256: "",
  packageMirror: "",
  imageId: "",
  awsEndpointUrl: "",
  httpsProxy: "",
  stopSchedule: "",
  startSchedule: "",
} as const satisfies Partial<Record<Name, unknown>>;

/** Reads the stack's configuration and checks it, before any resource exists. */
export function loadSettings(): Settings {
  const config = new pulumi.Config();
  const raw: RawSettings = Object.fromEntries(NAMES.map((name) => [name, readValue(config, name)]));
  const aws = new pulumi.Config("aws");
  return { ...checkSettings({ ...raw, region: aws.get("region") }), awsProfile: aws.get("profile") };
}

/** Configuration arrives as text: JSON where it parses, otherwise a plain string. */
function readValue(config: pulumi.Config, name: Name): unknown {
  const text = config.get(name);
  if (text === undefined) {
    return undefined;
  }
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/**
 * Checks every setting and answers with all problems at once.
 *
 * @throws pulumi.RunError naming each setting that is wrong, its value and what is allowed.
 */
export function checkSettings(written: RawSettings): CheckedSettings {
  const problems: string[] = [];
  const raw: RawSettings = { ...DEFAULTS, ...definedOnly(written) };
  const read = <T>(name: string, allowed: string, accepts: (value: never) => boolean): T => {
    const value = raw[name];
    if (!accepts(value as never)) {
      problems.push(`${name === "region" ? "aws:region" : name} is ${show(value)}; allowed: ${allowed}`);
    }
    return value as T;
  };
  const integer = (name: Name, least: number, most: number, unit: string) =>
    read<number>(
      name,
      `a whole number of ${unit} from ${least} to ${most}`,
      (value: number) => Number.isInteger(value) && value >= least && value <= most,
    );
  const boolean = (name: Name) => read<boolean>(name, "true or false", (value) => typeof value === "boolean");
  const optional = (name: Name, allowed: string, accepts: (value: string) => boolean) =>
    raw[name] === ""
      ? undefined
      : read<string>(name, allowed, (value: string) => typeof value === "string" && accepts(value));

  const accelerator = read<Accelerator>(
    "accelerator",
    "cuda or cpu",
    (value) => value === "cuda" || value === "cpu",
  );
  const instanceType = read<string>("instanceType", instanceTypesAllowed(accelerator), (value: string) =>
    accelerator === "cpu" ? /^[a-z0-9-]+\.[a-z0-9-]+$/.test(value) : Object.hasOwn(GPU_INSTANCE_TYPES, value),
  );
  const cpuWorkers = integer("cpuWorkers", 1, 8, "workers");
  const allowPublicAccess = boolean("allowPublicAccess");
  const vpcId = optional("vpcId", "the ID of a VPC such as vpc-0123456789abcdef0", (value) =>
    /^vpc-[0-9a-f]{8,17}$/.test(value),
  );
  const subnetIds = read<string[]>(
    "subnetIds",
    "a list of different subnet IDs such as subnet-0123456789abcdef0",
    isSubnetList,
  );

  const cron = (name: Name) =>
    optional(name, 'six fields of EventBridge\'s cron such as "0 20 ? * MON-FRI *"', isCron);
  const [stop, start] = [cron("stopSchedule"), cron("startSchedule")];
  const timezone = read<string>(
    "scheduleTimezone",
    "the IANA name of a time zone such as Europe/Berlin",
    (value) => typeof value === "string" && isTimezone(value),
  );
  const monthlyUsd = integer("budgetMonthlyUsd", 0, 10_000_000, "US dollars");
  const emails = read<string[]>("budgetEmails", "a list of up to 10 different mail addresses", isEmailList);

  const settings: CheckedSettings = {
    region: read("region", `one of AWS's regions: ${REGIONS.join(", ")}`, (value) => REGIONS.includes(value)),
    instanceType,
    availabilityZone: optional("availabilityZone", "a zone of the region such as us-east-1a", (value) =>
      /^[a-z]{2,}(-[a-z]+)+-\d[a-z]$/.test(value),
    ),
    capacity: {
      kind: read<PurchaseOption>("capacity", PURCHASE_OPTIONS.join(", "), (value: PurchaseOption) =>
        PURCHASE_OPTIONS.includes(value),
      ),
      reservationId: optional(
        "capacityReservationId",
        "the ID of a capacity reservation such as cr-0123456789abcdef0",
        (value) => /^cr-[0-9a-f]{8,17}$/.test(value),
      ),
    },
    domain: optional("domain", "a lower-case DNS name such as embeddings.example.com", isDomain),
    hostedZoneId: optional(
      "hostedZoneId",
      "the ID of a Route 53 zone such as Z0123456789ABCDEFGHIJ",
      (value) => /^Z[A-Z0-9]{5,31}$/.test(value),
    ),
    instances: {
      min: integer("instancesMin", 1, MOST_INSTANCES, "machines"),
      max: integer("instancesMax", 1, MOST_INSTANCES, "machines"),
    },
    existingVpc: vpcId === undefined ? undefined : { vpcId, subnetIds },
    internal: boolean("internal"),
    createVpcEndpoints: boolean("createVpcEndpoints"),
    accelerator,
    workers: accelerator === "cuda" ? (GPU_INSTANCE_TYPES[instanceType]?.count ?? 1) : cpuWorkers,
    clients: read(
      "clients",
      "a list of 1 to 50 different names (what one role's policy has room for) of 1 to 64 lower-case letters, digits and hyphens, each beginning with a letter",
      isClientList,
    ),
    keyGraceSeconds: integer("keyGraceSeconds", 0, 7 * 24 * 3600, "seconds"),
    secretRecoveryDays: read(
      "secretRecoveryDays",
      "0, or a whole number of days from 7 to 30 (what Secrets Manager takes)",
      (value: number) => value === 0 || (Number.isInteger(value) && value >= 7 && value <= 30),
    ),
    allowedCidrs: read(
      "allowedCidrs",
      `a list of 1 to 60 different IPv4 ranges (what one security group takes), such as 203.0.113.0/24${
        allowPublicAccess
          ? ""
          : "; ranges wider than /8, such as 0.0.0.0/0, only together with allowPublicAccess: true"
      }`,
      (value) => isCidrList(value, allowPublicAccess),
    ),
    modelSource: read(
      "modelSource",
      "hf://OWNER/NAME@REVISION with a commit of 40 hexadecimal digits, or s3://BUCKET/PREFIX",
      isModelSource,
    ),
    modelSha256: optional("modelSha256", "64 hexadecimal digits", (value) => /^[0-9a-f]{64}$/.test(value)),
    packageMirror: optional("packageMirror", "s3://BUCKET/PREFIX, filled by npm run mirror", isS3Prefix),
    imageId: optional("imageId", "the ID of an image such as ami-0123456789abcdef0", (value) =>
      /^ami-[0-9a-f]{8,17}$/.test(value),
    ),
    publishedWeights: boolean("publishedWeights"),
    contextLength: integer("contextLength", 64, MODEL.contextLength, "tokens"),
    memFractionStatic: read(
      "memFractionStatic",
      "a number from 0.1 to 0.95",
      (value: number) => typeof value === "number" && value >= 0.1 && value <= 0.95,
    ),
    maxInputs: integer("maxInputs", 1, 2048, "items"),
    maxBodyBytes: integer("maxBodyBytes", 65536, 64 * 1024 * 1024, "bytes"),
    rootVolumeGib: integer("rootVolumeGib", 100, 16384, "GiB"),
    protect: boolean("protect"),
    awsEndpointUrl: optional("awsEndpointUrl", "an http:// or https:// URL", isHttpUrl),
    httpsProxy: optional("httpsProxy", "an http:// or https:// URL", isHttpUrl),
    verificationTimeoutSeconds: integer("verificationTimeoutSeconds", 10, 4 * 3600, "seconds"),
    schedule: stop === undefined ? undefined : { stop, start, timezone },
    budget: monthlyUsd === 0 ? undefined : { monthlyUsd, emails },
  };
  if (stop === undefined && start !== undefined) {
    problems.push(`startSchedule is "${start}"; allowed: not set without stopSchedule`);
  }
  if (monthlyUsd > 0 && Array.isArray(emails) && emails.length === 0) {
    problems.push("budgetEmails is []; allowed: with budgetMonthlyUsd, at least one address to write to");
  }
  if (problems.length === 0) {
    problems.push(...togetherProblems(settings, subnetIds));
  }
  if (problems.length > 0) {
    throw new pulumi.RunError(
      `The configuration is not usable, and nothing was changed:\n${problems.map((line) => `  - ${line}`).join("\n")}\n` +
        "Set a value with `pulumi config set NAME VALUE`, a whole list in Pulumi.STACK.yaml.",
    );
  }
  return settings;
}

/** What is wrong with settings that are each right by themselves. */
function togetherProblems(settings: CheckedSettings, subnetIds: string[]): string[] {
  const gpus = settings.accelerator === "cuda" ? GPU_INSTANCE_TYPES[settings.instanceType] : undefined;
  const memory = gpus && memoryProblem(settings.contextLength, settings.memFractionStatic, gpus);
  return [
    ...(memory ? [memory] : []),
    ...capacityProblems(settings),
    ...fleetProblems(settings),
    ...(settings.schedule && settings.domain
      ? [
          `stopSchedule is "${settings.schedule.stop}"; allowed: not set with a domain, whose fleet would start other machines`,
        ]
      : []),
    ...networkProblems(settings, subnetIds),
  ];
}

function capacityProblems({
  capacity,
  availabilityZone,
  instanceType,
  accelerator,
}: CheckedSettings): string[] {
  const { kind, reservationId } = capacity;
  const reserved = kind === "reservation" || kind === "capacity-block";
  const problems: string[] = [];
  if (reserved && reservationId === undefined) {
    problems.push(
      `capacityReservationId is not set; allowed: with capacity ${kind}, the reservation's ID (cr-…)`,
    );
  }
  if (!reserved && reservationId !== undefined) {
    problems.push(
      `capacityReservationId is "${reservationId}"; allowed: not set with capacity ${kind}, or capacity reservation or capacity-block`,
    );
  }
  if (reserved && availabilityZone === undefined) {
    problems.push(
      `availabilityZone is not set; allowed: with capacity ${kind}, the zone that the reservation is in`,
    );
  }
  if (kind === "capacity-block" && accelerator === "cuda" && !CAPACITY_BLOCK_TYPES.includes(instanceType)) {
    problems.push(
      `instanceType is "${instanceType}"; allowed: with capacity capacity-block, one of ${CAPACITY_BLOCK_TYPES.join(", ")}`,
    );
  }
  return problems;
}

function fleetProblems({ instances, domain, hostedZoneId, internal }: CheckedSettings): string[] {
  const problems: string[] = [];
  if (instances.min > instances.max) {
    problems.push(`instancesMin is ${instances.min}; allowed: up to instancesMax, which is ${instances.max}`);
  }
  if (instances.max > 1 && domain === undefined) {
    problems.push(
      `instancesMax is ${instances.max}; allowed: 1 without a domain, whose certificate the load balancer of several machines needs`,
    );
  }
  if (hostedZoneId !== undefined && domain === undefined) {
    problems.push(`hostedZoneId is "${hostedZoneId}"; allowed: not set without a domain`);
  }
  if (internal && domain === undefined) {
    problems.push(
      "internal is true; allowed: false without a domain, because an internal endpoint is a load balancer",
    );
  }
  return problems;
}

function networkProblems(settings: CheckedSettings, subnetIds: string[]): string[] {
  const { existingVpc, domain, internal, createVpcEndpoints } = settings;
  const problems: string[] = [];
  if (existingVpc === undefined && subnetIds.length > 0) {
    problems.push(`subnetIds is ${show(subnetIds)}; allowed: an empty list without vpcId`);
  }
  const least = domain === undefined ? 1 : 2;
  if (existingVpc !== undefined && subnetIds.length < least) {
    problems.push(
      `subnetIds is ${show(subnetIds)}; allowed: with vpcId, ${
        domain === undefined
          ? "one subnet or more"
          : "two subnets or more in different zones, for the load balancer"
      }`,
    );
  }
  if (internal && existingVpc === undefined) {
    problems.push(
      "internal is true; allowed: false without vpcId, because nobody could reach a VPC of the stack's own",
    );
  }
  if (createVpcEndpoints && existingVpc === undefined) {
    problems.push(
      "createVpcEndpoints is true; allowed: false without vpcId; the stack's own VPC has a way to the internet",
    );
  }
  return problems;
}

/**
 * What every resource's name begins with. S3's bucket prefix has room for 20 characters of a stack's name, in lower
 * case.
 *
 * @throws pulumi.RunError for a stack whose name does not fit.
 */
export function resourceName(stack: string): string {
  if (!/^[a-z][a-z0-9-]{0,19}$/.test(stack)) {
    throw new pulumi.RunError(
      `the stack's name is "${stack}"; allowed: up to 20 lower-case letters, digits and hyphens, beginning with a letter ` +
        "(`pulumi stack rename`). Nothing was changed.",
    );
  }
  return `qwen3-embedding-${stack}`;
}

/** More would be a mistake in writing; the account's quota ends far below. */
const MOST_INSTANCES = 50;

const REGIONS: string[] = Object.values(Region);

function instanceTypesAllowed(accelerator: Accelerator): string {
  return accelerator === "cpu"
    ? "an EC2 instance type such as m7i.xlarge"
    : `a type with NVIDIA GPUs that this stack knows: ${Object.keys(GPU_INSTANCE_TYPES).join(", ")}`;
}

function isEmailList(value: unknown): boolean {
  return (
    Array.isArray(value) &&
    value.length <= 10 &&
    new Set(value).size === value.length &&
    value.every((address) => typeof address === "string" && /^[^\s@]+@[^\s@]+\.[^\s@]+$/.test(address))
  );
}

function isClientList(value: unknown): boolean {
  return (
    Array.isArray(value) &&
    value.length >= 1 &&
    value.length <= 50 &&
    new Set(value).size === value.length &&
    value.every((name) => typeof name === "string" && /^[a-z][a-z0-9-]{0,63}$/.test(name))
  );
}

function isCidrList(value: unknown, allowPublicAccess: boolean): boolean {
  return (
    Array.isArray(value) &&
    value.length >= 1 &&
    value.length <= 60 &&
    new Set(value).size === value.length &&
    value.every(
      (range) =>
        typeof range === "string" && isCidr(range) && (allowPublicAccess || prefixLength(range) >= 8),
    )
  );
}

function isSubnetList(value: unknown): boolean {
  return (
    Array.isArray(value) &&
    new Set(value).size === value.length &&
    value.every((id) => typeof id === "string" && /^subnet-[0-9a-f]{8,17}$/.test(id))
  );
}

/** Two labels or more; ACM takes up to 64 characters for a certificate's first name. */
function isDomain(value: string): boolean {
  return value.length <= 64 && /^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}$/.test(value);
}

function prefixLength(range: string): number {
  return Number(range.split("/")[1]);
}

/** An IPv4 range whose host bits are zero, which is what EC2 accepts. */
function isCidr(range: string): boolean {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})\/(\d{1,2})$/.exec(range);
  if (!match) {
    return false;
  }
  const [a, b, c, d, length] = match.slice(1).map(Number) as [number, number, number, number, number];
  if ([a, b, c, d].some((octet) => octet > 255) || length > 32) {
    return false;
  }
  const address = ((a << 24) | (b << 16) | (c << 8) | d) >>> 0;
  const hostBits = length === 32 ? 0 : 2 ** (32 - length) - 1;
  return (address & hostBits) === 0;
}

function isModelSource(value: unknown): boolean {
  return (
    typeof value === "string" && (/^hf:\/\/[\w.-]+\/[\w.-]+@[0-9a-f]{40}$/.test(value) || isS3Prefix(value))
  );
}

function isS3Prefix(value: string): boolean {
  return /^s3:\/\/[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]\/[\w./-]+$/.test(value);
}

function isHttpUrl(value: string): boolean {
  return URL.canParse(value) && /^https?:$/.test(new URL(value).protocol);
}

function definedOnly(values: RawSettings): RawSettings {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined));
}

function show(value: unknown): string {
  return value === undefined ? "not set" : JSON.stringify(value);
}
