import {
  DescribeAddressesCommand,
  DescribeCapacityReservationsCommand,
  DescribeImagesCommand,
  DescribeInstanceTypeOfferingsCommand,
  DescribeInstanceTypesCommand,
  DescribeRegionsCommand,
  DescribeSubnetsCommand,
  EC2Client,
  type Instance,
  paginateDescribeInstances,
  paginateDescribeVpcs,
  type Vpc,
} from "@aws-sdk/client-ec2";
import { GetHostedZoneCommand, paginateListHostedZones, Route53Client } from "@aws-sdk/client-route-53";
import { HeadObjectCommand, paginateListBuckets, S3Client } from "@aws-sdk/client-s3";
import {
  paginateListSecrets,
  type SecretListEntry,
  SecretsManagerClient,
} from "@aws-sdk/client-secrets-manager";
import {
  GetAWSDefaultServiceQuotaCommand,
  GetServiceQuotaCommand,
  ServiceQuotasClient,
} from "@aws-sdk/client-service-quotas";
import { GetParameterCommand, SSMClient } from "@aws-sdk/client-ssm";
import { GetCallerIdentityCommand, STSClient } from "@aws-sdk/client-sts";
import { type AwsAccess, awsClientConfig } from "../lib/aws";

/** Who the credentials belong to, and AWS's time. */
export interface Caller {
  account: string;
  arn: string;
}

const CONNECT_MS = 5_000;
const RESPOND_MS = 20_000;

/** The look-ups of the command in one account and region. Each calls read-only actions. */
export class Account {
  /** AWS's clock, from the last response of STS; undefined before it. Milliseconds since 1970. */
  time: number | undefined;
  readonly #ec2: EC2Client;
  readonly #quotas: ServiceQuotasClient;
  readonly #route53: Route53Client;
  readonly #s3: S3Client;
  readonly #secrets: SecretsManagerClient;
  readonly #ssm: SSMClient;
  readonly #sts: STSClient;
  #instances: Promise<Instance[]> | undefined;

  constructor(access: AwsAccess) {
    const config = {
      ...awsClientConfig(access),
      maxAttempts: 2,
      requestHandler: { connectionTimeout: CONNECT_MS, requestTimeout: RESPOND_MS },
    };
    this.#ec2 = new EC2Client(config);
    this.#quotas = new ServiceQuotasClient(config);
    this.#route53 = new Route53Client(config);
    this.#s3 = new S3Client({ ...config, ...("endpoint" in config && { forcePathStyle: true }) });
    this.#secrets = new SecretsManagerClient(config);
    this.#ssm = new SSMClient(config);
    this.#sts = new STSClient(config);
    // Innermost, so that it also sees the Date header of a rejection.
    this.#sts.middlewareStack.add(
      (next) => async (args) => {
        const result = await next(args);
        const { headers } = result.response as { headers?: Record<string, string> };
        const time = Date.parse(headers?.date ?? "");
        this.time = Number.isNaN(time) ? this.time : time;
        return result;
      },
      { step: "deserialize", priority: "low", name: "readDate" },
    );
  }

  close(): void {
    const clients = [this.#ec2, this.#quotas, this.#route53, this.#s3, this.#secrets, this.#ssm, this.#sts];
    for (const client of clients) {
      client.destroy();
    }
  }

  async caller(): Promise<Caller> {
    const { Account: account = "", Arn: arn = "" } = await this.#sts.send(new GetCallerIdentityCommand({}));
    return { account, arn };
  }

  /** `opt-in-not-required`, `opted-in` or `not-opted-in`; undefined if EC2 does not have the region. */
  async optInStatus(region: string): Promise<string | undefined> {
    const { Regions = [] } = await this.#ec2.send(
      new DescribeRegionsCommand({ AllRegions: true, RegionNames: [region] }),
    );
    return Regions[0]?.OptInStatus;
  }

  /** vCPUs of each type that exists in the region. */
  async vcpus(types: string[]): Promise<Map<string, number>> {
    if (types.length === 0) {
      return new Map();
    }
    const { InstanceTypes = [] } = await this.#ec2.send(
      new DescribeInstanceTypesCommand({
        Filters: [{ Name: "instance-type", Values: [...new Set(types)] }],
      }),
    );
    return new Map(
      InstanceTypes.map(({ InstanceType, VCpuInfo }) => [String(InstanceType), VCpuInfo?.DefaultVCpus ?? 0]),
    );
  }

  /** Zones that offer the type, by name. */
  async zonesOffering(type: string): Promise<string[]> {
    const { InstanceTypeOfferings = [] } = await this.#ec2.send(
      new DescribeInstanceTypeOfferingsCommand({
        LocationType: "availability-zone",
        Filters: [{ Name: "instance-type", Values: [type] }],
      }),
    );
    return InstanceTypeOfferings.map(({ Location = "" }) => Location).sort();
  }

  /** Every pending or running instance, read once. */
  instances(): Promise<Instance[]> {
    this.#instances ??= this.#readInstances();
    return this.#instances;
  }

  async #readInstances(): Promise<Instance[]> {
    const found: Instance[] = [];
    const filters = [{ Name: "instance-state-name", Values: ["pending", "running"] }];
    for await (const { Reservations = [] } of paginateDescribeInstances(
      { client: this.#ec2 },
      { Filters: filters },
    )) {
      found.push(...Reservations.flatMap(({ Instances = [] }) => Instances));
    }
    return found;
  }

  async capacityReservation(id: string) {
    const { CapacityReservations = [] } = await this.#ec2.send(
      new DescribeCapacityReservationsCommand({ CapacityReservationIds: [id] }),
    );
    return CapacityReservations[0];
  }

  async vpcs(): Promise<Vpc[]> {
    const found: Vpc[] = [];
    for await (const { Vpcs = [] } of paginateDescribeVpcs({ client: this.#ec2 }, {})) {
      found.push(...Vpcs);
    }
    return found;
  }

  async addresses() {
    const { Addresses = [] } = await this.#ec2.send(new DescribeAddressesCommand({}));
    return Addresses;
  }

  async subnets(ids: string[]) {
    const { Subnets = [] } = await this.#ec2.send(new DescribeSubnetsCommand({ SubnetIds: ids }));
    return Subnets;
  }

  async image(id: string) {
    const { Images = [] } = await this.#ec2.send(new DescribeImagesCommand({ ImageIds: [id] }));
    return Images[0];
  }

  /** The images of an owner whose names match a pattern with `*`. */
  async imagesNamed(owner: string, pattern: string) {
    const { Images = [] } = await this.#ec2.send(
      new DescribeImagesCommand({ Owners: [owner], Filters: [{ Name: "name", Values: [pattern] }] }),
    );
    return Images;
  }

  async parameter(name: string): Promise<string> {
    const { Parameter } = await this.#ssm.send(new GetParameterCommand({ Name: name }));
    return Parameter?.Value ?? "";
  }

  /** The quota's value for this account, or AWS's default while the account has no value of its own. */
  async quota(service: string, code: string): Promise<number> {
    const which = { ServiceCode: service, QuotaCode: code };
    try {
      return (await this.#quotas.send(new GetServiceQuotaCommand(which))).Quota?.Value ?? 0;
    } catch (error) {
      if (!/^NoSuchResource/.test((error as Error).name)) {
        throw error;
      }
      return (await this.#quotas.send(new GetAWSDefaultServiceQuotaCommand(which))).Quota?.Value ?? 0;
    }
  }

  /** Names of the public hosted zones, without the last dot, and their IDs. */
  async publicZones(): Promise<{ name: string; id: string }[]> {
    const found: { name: string; id: string }[] = [];
    for await (const { HostedZones = [] } of paginateListHostedZones({ client: this.#route53 }, {})) {
      const open = HostedZones.filter(({ Config }) => !Config?.PrivateZone);
      found.push(...open.map(({ Name = "", Id = "" }) => ({ name: Name.replace(/\.$/, ""), id: Id })));
    }
    return found;
  }

  /** The name of a hosted zone, without the last dot, and whether it is private. */
  async zone(id: string): Promise<{ name: string; isPrivate: boolean }> {
    const { HostedZone } = await this.#route53.send(new GetHostedZoneCommand({ Id: id }));
    return {
      name: HostedZone?.Name?.replace(/\.$/, "") ?? "",
      isPrivate: HostedZone?.Config?.PrivateZone ?? false,
    };
  }

  async headObject(bucket: string, key: string): Promise<void> {
    await this.#s3.send(new HeadObjectCommand({ Bucket: bucket, Key: key }));
  }

  async buckets(prefix: string): Promise<string[]> {
    const found: string[] = [];
    for await (const { Buckets = [] } of paginateListBuckets({ client: this.#s3 }, { Prefix: prefix })) {
      found.push(...Buckets.map(({ Name = "" }) => Name));
    }
    return found.filter((name) => name.startsWith(prefix));
  }

  /** Secrets whose names begin with the prefix and that are scheduled for deletion. */
  async deletedSecrets(prefix: string): Promise<SecretListEntry[]> {
    const found: SecretListEntry[] = [];
    for await (const { SecretList = [] } of paginateListSecrets(
      { client: this.#secrets },
      { IncludePlannedDeletion: true, Filters: [{ Key: "name", Values: [prefix] }] },
    )) {
      found.push(...SecretList);
    }
    return found.filter(({ Name, DeletedDate }) => DeletedDate && Name?.startsWith(prefix));
  }
}
