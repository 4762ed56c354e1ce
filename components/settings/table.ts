import { Region } from "@pulumi/aws/types/enums";
import type * as v from "valibot";
import { KEYS } from "../bundle/contract";
import { DEFAULT_MODEL_SOURCE, MODEL } from "../bundle/model";
import { PURCHASE_OPTIONS } from "../compute/purchaseOption";
import { AUTHORITIES } from "../keys/authorities";
import { isCron, isTimezone } from "../operations/cron";
import { isCidr, isDomain, isHttpUrl, isModelSource, POLICY_ARN, S3_PREFIX, ZONE } from "./formats";
import {
  choice,
  flag,
  fraction,
  integer,
  integerWhere,
  list,
  optionalText,
  type Setting,
  text,
} from "./kinds";

/** A larger number would be a typing error: the quotas of accounts are far lower. */
const MOST_INSTANCES = 50;

const GROUP = {
  instance: "Instances",
  endpoint: "Endpoint",
  network: "Network",
  keys: "Keys",
  model: "Model",
  limits: "Limits",
  supply: "Where packages and images come from",
  operations: "Operations",
} as const;

/**
 * Every setting, once. Types, checks, defaults, the `config:` part of Pulumi.yaml, docs/reference/settings.md, the
 * arguments of `EmbeddingService` and the schema that an instance checks its own settings file against follow from
 * this table: `npm run generate` writes what is generated. Rules between settings are next to their subject (rules.ts).
 */
export const SETTINGS = {
  instanceType: text({
    description:
      "EC2 instance type with NVIDIA GPUs of compute capability 8.0 or later. A100s are p4d.24xlarge and p4de.24xlarge, with eight GPUs each.",
    group: GROUP.instance,
    default: "g6e.xlarge",
    allowed: "an EC2 instance type such as g6e.xlarge",
    accepts: /^[a-z0-9-]+\.[a-z0-9-]+$/,
  }),
  availabilityZone: optionalText({
    description:
      "Availability Zone for the instances, for example when another zone has no capacity. Empty selects the first zone by name that offers the instance type, or with a domain every zone that does.",
    group: GROUP.instance,
    allowed: "a zone of the region such as us-east-1a",
    accepts: ZONE,
  }),
  purchaseOption: choice({
    description:
      "How AWS bills and provides the instances. AWS can reclaim a spot instance with two minutes' notice. reservation and capacity-block require capacityReservationId and availabilityZone.",
    group: GROUP.instance,
    default: "on-demand",
    words: PURCHASE_OPTIONS,
  }),
  capacityReservationId: optionalText({
    description: "ID of an existing capacity reservation, or of the reservation of a capacity block.",
    group: GROUP.instance,
    allowed: "the ID of a capacity reservation such as cr-0123456789abcdef0",
    accepts: /^cr-[0-9a-f]{8,17}$/,
  }),
  instancesMin: integer({
    description: "Minimum number of instances. More than one requires a domain.",
    group: GROUP.instance,
    default: 1,
    min: 1,
    max: MOST_INSTANCES,
    unit: "instances",
  }),
  instancesMax: integer({
    description:
      "Maximum number of instances. If it is above instancesMin, the number of instances follows their work.",
    group: GROUP.instance,
    default: 1,
    min: 1,
    max: MOST_INSTANCES,
    unit: "instances",
  }),
  rootVolumeGib: integer({
    description:
      "Size of the encrypted gp3 root volume in GiB. AWS's image uses about 75, SGLang 11 and the model 8.",
    group: GROUP.instance,
    default: 150,
    min: 100,
    max: 16384,
    unit: "GiB",
  }),
  accelerator: choice({
    description:
      "What SGLang computes on. cpu is for trying the stack without a GPU, with any instance type.",
    group: GROUP.instance,
    default: "cuda",
    words: ["cuda", "cpu"],
    variable: "QWEN3_ACCELERATOR",
  }),
  cpuWorkers: integer({
    description:
      "Number of workers on an instance without a GPU. An instance with GPUs runs one worker for each GPU.",
    group: GROUP.instance,
    default: 1,
    min: 1,
    max: 8,
    unit: "workers",
  }),

  domain: optionalText({
    description:
      "DNS name of the endpoint in a Route 53 hosted zone, such as embeddings.example.com. With a domain, instances run in an Auto Scaling group behind an Application Load Balancer with a public certificate. Empty is one instance with an Elastic IP address and a private certificate authority.",
    group: GROUP.endpoint,
    allowed: "a lower-case DNS name such as embeddings.example.com",
    accepts: isDomain,
  }),
  hostedZoneId: optionalText({
    description:
      "Public Route 53 hosted zone of the domain. Empty selects the zone in this account whose name the domain ends in.",
    group: GROUP.endpoint,
    allowed: "the ID of a Route 53 hosted zone such as Z0123456789ABCDEFGHIJ",
    accepts: /^Z[A-Z0-9]{5,31}$/,
  }),
  certificateAuthority: choice({
    description:
      "Which of the two private certificate authorities signs the endpoint's certificate. Clients trust both, so that the key of the other one can be replaced without an outage. Without a domain only.",
    group: GROUP.endpoint,
    default: "first",
    words: AUTHORITIES,
  }),
  internal: flag({
    description:
      "Use an internal load balancer in vpcId and instances without a public IP address. Requires a domain.",
    group: GROUP.endpoint,
    default: false,
  }),
  allowedCidrs: list({
    description:
      "IPv4 ranges that can reach the endpoint, for example 203.0.113.0/24. The machine that you deploy from must be in one of them, because the deployment verifies the endpoint.",
    group: GROUP.endpoint,
    required: true,
    default: [],
    min: 1,
    max: 60,
    allowed:
      "a list of 1 to 60 different IPv4 ranges (the limit of a security group), such as 203.0.113.0/24",
    accepts: isCidr,
  }),
  allowPublicAccess: flag({
    description:
      "Confirm that a range wider than /8 in allowedCidrs is intended. Every call still requires a key.",
    group: GROUP.endpoint,
    default: false,
  }),

  vpcId: optionalText({
    description: "Existing VPC to use. Empty creates a VPC for this stack.",
    group: GROUP.network,
    allowed: "the ID of a VPC such as vpc-0123456789abcdef0",
    accepts: /^vpc-[0-9a-f]{8,17}$/,
  }),
  subnetIds: list({
    description:
      "Subnets of vpcId, one in each Availability Zone; two or more with a domain. They must be public unless internal is true.",
    group: GROUP.network,
    default: [],
    min: 0,
    max: 20,
    allowed: "a list of up to 20 different subnet IDs such as subnet-0123456789abcdef0",
    accepts: /^subnet-[0-9a-f]{8,17}$/,
  }),
  createVpcEndpoints: flag({
    description:
      "Create the VPC endpoints through which instances in vpcId reach AWS without internet access. Leave it false if the VPC has them.",
    group: GROUP.network,
    default: false,
  }),

  clients: list({
    description:
      "Names of the clients. Each client has its own API key. The first one is the default of the scripts and of the outputs secretArn and apiKeyUrn.",
    group: GROUP.keys,
    default: ["default"],
    min: 1,
    max: 50,
    allowed:
      "a list of 1 to 50 different names (the limit of one role's policy) of 1 to 64 lower-case letters, digits and hyphens, each beginning with a letter",
    accepts: new RegExp(`^${KEYS.clientName}$`),
  }),
  keyGraceSeconds: integer({
    description:
      "Seconds for which the previous key remains valid after a rotation, from 0 (it is revoked at once) to a week.",
    group: GROUP.keys,
    default: 3600,
    min: 0,
    max: KEYS.longestGraceSeconds,
    unit: "seconds",
  }),
  secretRecoveryDays: integerWhere({
    description:
      "Days for which Secrets Manager can restore a deleted key, from 7 to 30. 0 deletes keys immediately.",
    group: GROUP.keys,
    default: 7,
    allowed: "0, or a whole number of days from 7 to 30 (the recovery window of Secrets Manager)",
    accepts: (days) => days === 0 || (days >= 7 && days <= 30),
  }),
  protect: flag({
    description:
      "Protect the API keys, the address that clients use and the keys of the certificate authorities that they trust: Pulumi refuses to delete them until this is false.",
    group: GROUP.keys,
    default: false,
  }),

  modelSource: text({
    description:
      "Source of the model weights, hf://OWNER/NAME@COMMIT or s3://BUCKET/PREFIX with a file SHA256SUMS.",
    group: GROUP.model,
    default: DEFAULT_MODEL_SOURCE,
    allowed: "hf://OWNER/NAME@REVISION with a commit of 40 hexadecimal digits, or s3://BUCKET/PREFIX",
    accepts: isModelSource,
    variable: "QWEN3_MODEL_SOURCE",
  }),
  modelSha256: optionalText({
    description:
      "SHA-256 of the file SHA256SUMS of weights in S3. Empty does not check that file; the weights are always checked against it.",
    group: GROUP.model,
    allowed: "64 hexadecimal digits",
    accepts: /^[0-9a-f]{64}$/,
    variable: "QWEN3_MODEL_SHA256",
  }),
  publishedWeights: flag({
    description:
      "Whether these are the published weights. If so, verification requires the similarities of the model card.",
    group: GROUP.model,
    default: true,
    stackOnly: true,
  }),
  contextLength: integer({
    description:
      "Maximum length of an input in tokens, including the end-of-text token. The limit of the model is 32768.",
    group: GROUP.model,
    default: MODEL.contextLength,
    min: 64,
    max: MODEL.contextLength,
    unit: "tokens",
    variable: "QWEN3_CONTEXT_LENGTH",
  }),
  memFractionStatic: fraction({
    description: "Fraction of GPU memory that SGLang reserves for weights and KV cache.",
    group: GROUP.model,
    default: 0.85,
    min: 0.1,
    max: 0.95,
    variable: "QWEN3_MEM_FRACTION_STATIC",
  }),

  maxInputs: integer({
    description: "Maximum number of inputs in one request. OpenAI's limit is 2048.",
    group: GROUP.limits,
    default: 2048,
    min: 1,
    max: 2048,
    unit: "inputs",
    variable: "QWEN3_MAX_INPUTS",
  }),
  maxBodyBytes: integer({
    description: "Maximum size of a request body in bytes.",
    group: GROUP.limits,
    default: 8 * 1024 * 1024,
    min: 64 * 1024,
    max: 64 * 1024 * 1024,
    unit: "bytes",
    variable: "QWEN3_MAX_BODY_BYTES",
  }),

  imageId: optionalText({
    description:
      "AMI for the instances: Ubuntu 24.04 with NVIDIA's driver. An image that already has the system packages of the bootstrap needs no package archive. Empty selects AWS's latest image in the first update and keeps it; `npm run image` moves to a later one.",
    group: GROUP.supply,
    allowed: "the ID of an AMI such as ami-0123456789abcdef0",
    accepts: /^ami-[0-9a-f]{8,17}$/,
  }),
  packageMirror: optionalText({
    description:
      "S3 prefix with the Python packages, s3://BUCKET/PREFIX, filled by `npm run mirror`. Empty uses PyPI.",
    group: GROUP.supply,
    allowed: "s3://BUCKET/PREFIX, filled by `npm run mirror`",
    accepts: S3_PREFIX,
    variable: "QWEN3_PACKAGE_MIRROR",
  }),
  httpsProxy: optionalText({
    description:
      "Proxy through which instances download packages and weights, http://HOST:PORT. Empty uses no proxy.",
    group: GROUP.supply,
    allowed: "an http:// or https:// URL",
    accepts: isHttpUrl,
  }),
  awsEndpointUrl: optionalText({
    description:
      "Endpoint URL for AWS services, for a proxy or an emulator. Empty uses the endpoints of the region.",
    group: GROUP.supply,
    allowed: "an http:// or https:// URL",
    accepts: isHttpUrl,
    variable: "AWS_ENDPOINT_URL",
  }),

  verificationTimeoutSeconds: integer({
    description: "Maximum time from the launch of an instance to its first successful response.",
    group: GROUP.operations,
    default: 2700,
    min: 10,
    max: 4 * 3600,
    unit: "seconds",
  }),
  drainSeconds: integer({
    description:
      "Maximum time in which a single instance completes its requests before its address moves to a new instance. Requests that take longer are cut.",
    group: GROUP.operations,
    default: 60,
    min: 0,
    max: 600,
    unit: "seconds",
  }),
  permissionsBoundary: optionalText({
    description:
      "ARN of the IAM managed policy that is the permissions boundary of the stack's roles. The deployer's policies require it (docs/guides/deployer.md). Empty creates the roles without a boundary, which these policies do not allow.",
    group: GROUP.operations,
    allowed: "the ARN of a managed policy such as arn:aws:iam::123456789012:policy/qwen3-embedding-boundary",
    accepts: POLICY_ARN,
  }),
  stopSchedule: optionalText({
    description:
      "When to stop a single instance: the six fields of a cron expression in EventBridge Scheduler, for example 0 20 ? * MON-FRI *. A stopped instance keeps its volume and its address. Empty never stops it.",
    group: GROUP.operations,
    allowed: 'the six fields of an EventBridge cron expression such as "0 20 ? * MON-FRI *"',
    accepts: isCron,
  }),
  startSchedule: optionalText({
    description: "When to start it again, in the same form. Empty never starts it.",
    group: GROUP.operations,
    allowed: 'the six fields of an EventBridge cron expression such as "0 7 ? * MON-FRI *"',
    accepts: isCron,
  }),
  scheduleTimezone: text({
    description: "IANA time zone of both schedules, such as Europe/Berlin.",
    group: GROUP.operations,
    default: "UTC",
    allowed: "the IANA name of a time zone such as Europe/Berlin",
    accepts: isTimezone,
  }),
  budgetMonthlyUsd: integer({
    description:
      "Monthly budget for the whole account in US dollars. AWS sends email at 80 and 100 percent of it, and when the forecast exceeds it. 0 creates no budget.",
    group: GROUP.operations,
    default: 0,
    min: 0,
    max: 10_000_000,
    unit: "US dollars",
    stackOnly: true,
  }),
  budgetEmails: list({
    description: "Email addresses that AWS notifies about the budget.",
    group: GROUP.operations,
    default: [],
    min: 0,
    max: 10,
    allowed: "a list of up to 10 different email addresses",
    accepts: /^[^\s@]+@[^\s@]+\.[^\s@]+$/,
    stackOnly: true,
  }),
} as const satisfies Record<string, Setting>;

export type SettingName = keyof typeof SETTINGS;

/** The settings once they are checked; an unset one is undefined. */
export type Settings = {
  [Name in SettingName]: v.InferOutput<(typeof SETTINGS)[Name]["schema"]>;
};

/** Settings as they are written, before any check. */
export type RawSettings = Record<string, unknown>;

/** Every AWS region that the provider knows. */
export const REGIONS: readonly string[] = Object.values(Region);
