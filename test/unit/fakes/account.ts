import { createServer, type IncomingMessage, type Server } from "node:http";
import { close, listen } from "../../loopback";

type Xml = string | number | boolean | undefined | Xml[] | { [name: string]: Xml };
type Reply = [status: number, body: string, headers?: Record<string, string>];

/** An error that AWS returns for an action, such as `ec2:DescribeVpcs`. */
export interface AwsError {
  code: string;
  message?: string;
  status?: number;
}

const AMI = "ami-0123456789abcdef0";

/** What an account has, as far as doctor looks at it. The initial state passes every row of a stack with an address. */
export function healthyAccount() {
  return {
    arn: "arn:aws:iam::123456789012:role/deployer",
    /** Milliseconds by which AWS's clock differs from this computer's. */
    clockMs: 0,
    /** By action. */
    errors: {} as Record<string, AwsError>,
    regions: { "us-east-1": "opt-in-not-required" } as Record<string, string>,
    types: { "g6e.xlarge": 4, "g5.12xlarge": 48, "p5.4xlarge": 16 } as Record<string, number>,
    zones: { "g6e.xlarge": ["us-east-1a", "us-east-1b"], "p5.4xlarge": ["us-east-1a"] } as Record<
      string,
      string[]
    >,
    instances: [] as { type: string; name?: string; spot?: boolean }[],
    reservations: [] as {
      id: string;
      state: string;
      type: string;
      zone: string;
      free: number;
      start?: string;
    }[],
    /** Name tags. */
    vpcs: ["default"],
    addresses: [] as string[],
    subnets: {} as Record<string, { vpc: string; zone: string }>,
    parameter: AMI,
    images: {
      [AMI]: { state: "available", architecture: "x86_64", created: "2026-11-01T00:00:00.000Z", gib: 75 },
    } as Record<
      string,
      {
        state: string;
        architecture: string;
        created: string;
        gib: number;
        deprecated?: string;
        name?: string;
      }
    >,
    /** Values of the account, by code. */
    quotas: { "L-DB2E81BA": 8, "L-F678F1CE": 5 } as Record<string, number>,
    /** AWS's defaults, which apply where the account has no value. */
    defaults: { "L-0263D0A3": 5 } as Record<string, number>,
    hostedZones: [] as { id: string; name: string; isPrivate?: boolean }[],
    /** As `BUCKET/KEY`. */
    objects: [] as string[],
    buckets: [] as string[],
    /** Whether each is scheduled for deletion. */
    secrets: {} as Record<string, boolean>,
    /** Status of the Hugging Face Hub. */
    hub: 200,
  };
}

/** AWS's APIs that doctor reads, and the Hugging Face Hub, over loopback. */
export class FakeAccount {
  state = healthyAccount();
  /** The actions that were called. */
  calls: string[] = [];
  readonly #server: Server;

  constructor() {
    this.#server = createServer(async (request, reply) => {
      let body = "";
      for await (const part of request.setEncoding("utf8")) {
        body += part;
      }
      const [status, text, headers] = this.#reply(request, body);
      const date = new Date(Date.now() + this.state.clockMs).toUTCString();
      reply.writeHead(status, { date, ...headers }).end(text);
    });
  }

  async listen(): Promise<string> {
    return `http://127.0.0.1:${await listen(this.#server)}`;
  }

  close(): Promise<void> {
    return close(this.#server);
  }

  #reply(request: IncomingMessage, body: string): Reply {
    const [, service] =
      /Credential=\w+\/\d+\/[\w-]+\/([\w-]+)\//.exec(request.headers.authorization ?? "") ?? [];
    if (service === undefined) {
      return [this.state.hub, ""];
    }
    switch (service) {
      case "ec2":
      case "sts":
        return this.#query(service, new URLSearchParams(body));
      case "route53":
        return this.#route53(request.url!.split("?")[0]!);
      case "s3":
        return this.#s3(request.method!, new URL(request.url!, "http://s3").pathname);
      default:
        return this.#json(service, String(request.headers["x-amz-target"]).split(".").at(-1)!, body);
    }
  }

  /** Records a call. @returns its error, if it has one */
  #call(action: string): AwsError | undefined {
    this.calls.push(action);
    return this.state.errors[action];
  }

  #query(service: string, asked: URLSearchParams): Reply {
    const action = asked.get("Action")!;
    const error = this.#call(`${service}:${action}`);
    if (error) {
      const xml = toXml({ Error: { Code: error.code, Message: error.message ?? error.code } });
      const text =
        service === "ec2"
          ? `<Response><Errors>${xml}</Errors></Response>`
          : `<ErrorResponse>${xml}</ErrorResponse>`;
      return [error.status ?? 403, text];
    }
    const result =
      service === "sts"
        ? { GetCallerIdentityResult: { Account: "123456789012", Arn: this.state.arn } }
        : this.#ec2(action, asked);
    return [200, toXml({ [`${action}Response`]: result })];
  }

  #ec2(action: string, asked: URLSearchParams): { [name: string]: Xml } {
    const { state } = this;
    const values = [...asked].filter(([name]) => /\.Value\.\d+$/.test(name)).map(([, value]) => value);
    const id = [...asked].find(([name]) => /Id\.1$/.test(name))?.[1] ?? "";
    switch (action) {
      case "DescribeRegions":
        return {
          regionInfo: Object.entries(state.regions).map(([regionName, optInStatus]) => ({
            regionName,
            optInStatus,
          })),
        };
      case "DescribeInstanceTypes":
        return {
          instanceTypeSet: Object.entries(state.types)
            .filter(([type]) => values.includes(type))
            .map(([instanceType, defaultVCpus]) => ({ instanceType, vCpuInfo: { defaultVCpus } })),
        };
      case "DescribeInstanceTypeOfferings":
        return {
          instanceTypeOfferingSet: (state.zones[values[0]!] ?? []).map((location) => ({ location })),
        };
      case "DescribeInstances":
        return {
          reservationSet: state.instances.map(({ type, name, spot }) => ({
            instancesSet: [
              { instanceType: type, instanceLifecycle: spot ? "spot" : undefined, ...nameTag(name) },
            ],
          })),
        };
      case "DescribeCapacityReservations":
        return {
          capacityReservationSet: state.reservations
            .filter((each) => each.id === id)
            .map(({ state: is, type, zone, free, start }) => ({
              state: is,
              instanceType: type,
              availabilityZone: zone,
              availableInstanceCount: free,
              startDate: start,
            })),
        };
      case "DescribeVpcs":
        return { vpcSet: state.vpcs.map(nameTag) };
      case "DescribeAddresses":
        return { addressesSet: state.addresses.map(nameTag) };
      case "DescribeSubnets":
        return {
          subnetSet: Object.entries(state.subnets).map(([subnetId, { vpc, zone }]) => ({
            subnetId,
            vpcId: vpc,
            availabilityZone: zone,
          })),
        };
      case "DescribeImages": {
        const prefix = values[0]?.replace(/[*]$/, "");
        return {
          imagesSet: Object.entries(state.images)
            .filter(([imageId, { name }]) => (prefix ? name?.startsWith(prefix) : imageId === id))
            .map(([imageId, image]) => ({
              imageId,
              imageState: image.state,
              imageOwnerId: "898082745236",
              name: image.name ?? "GPU image",
              architecture: image.architecture,
              creationDate: image.created,
              deprecationTime: image.deprecated,
              rootDeviceName: "/dev/sda1",
              blockDeviceMapping: [{ deviceName: "/dev/sda1", ebs: { volumeSize: image.gib } }],
            })),
        };
      }
      default:
        throw new Error(`the fake does not have ec2:${action}`);
    }
  }

  #json(service: string, action: string, body: string): Reply {
    const error = this.#call(`${service}:${action}`);
    const fail = (type: string, message = type, status = 400): Reply => [
      status,
      JSON.stringify({ __type: type, message }),
    ];
    if (error) {
      return fail(error.code, error.message, error.status);
    }
    const { QuotaCode: code } = JSON.parse(body) as { QuotaCode: string };
    switch (action) {
      case "GetParameter":
        return [200, JSON.stringify({ Parameter: { Value: this.state.parameter } })];
      case "ListSecrets":
        return [
          200,
          JSON.stringify({
            SecretList: Object.entries(this.state.secrets).map(([Name, deleted]) => ({
              Name,
              ...(deleted && { DeletedDate: 1_790_000_000 }),
            })),
          }),
        ];
      case "GetServiceQuota":
      case "GetAWSDefaultServiceQuota": {
        const value = (action === "GetServiceQuota" ? this.state.quotas : this.state.defaults)[code];
        return value === undefined
          ? fail("NoSuchResourceException")
          : [200, JSON.stringify({ Quota: { QuotaCode: code, Value: value } })];
      }
      default:
        throw new Error(`the fake does not have ${service}:${action}`);
    }
  }

  #route53(path: string): Reply {
    const id = /hostedzone\/(\w+)$/.exec(path)?.[1];
    const error = this.#call(id ? "route53:GetHostedZone" : "route53:ListHostedZones");
    const zones = this.state.hostedZones.filter((zone) => id === undefined || zone.id === id);
    if (error || (id && zones.length === 0)) {
      const { code, status = 404 } = error ?? { code: "NoSuchHostedZone" };
      return [status, toXml({ ErrorResponse: { Error: { Code: code, Message: code } } })];
    }
    const found = zones.map((zone) => ({
      HostedZone: {
        Id: `/hostedzone/${zone.id}`,
        Name: `${zone.name}.`,
        CallerReference: "x",
        Config: { PrivateZone: zone.isPrivate ?? false },
      },
    }));
    return [
      200,
      id
        ? toXml({ GetHostedZoneResponse: found[0]! })
        : `<ListHostedZonesResponse><HostedZones>${found.map(toXml).join("")}</HostedZones><IsTruncated>false</IsTruncated><MaxItems>100</MaxItems></ListHostedZonesResponse>`,
    ];
  }

  #s3(method: string, path: string): Reply {
    if (method === "HEAD") {
      const error = this.#call("s3:GetObject");
      return [error?.status ?? (this.state.objects.includes(path.slice(1)) ? 200 : 404), ""];
    }
    const error = this.#call("s3:ListAllMyBuckets");
    if (error) {
      return [403, toXml({ Error: { Code: error.code, Message: error.code } })];
    }
    const buckets = this.state.buckets.map((Name) => toXml({ Bucket: { Name } })).join("");
    return [200, `<ListAllMyBucketsResult><Buckets>${buckets}</Buckets></ListAllMyBucketsResult>`];
  }
}

function nameTag(name: string | undefined): { [name: string]: Xml } {
  return { tagSet: name === undefined ? [] : [{ key: "Name", value: name }] };
}

/** Elements of a list are `item`, as in EC2's API. */
function toXml(value: Xml): string {
  if (Array.isArray(value)) {
    return value.map((each) => toXml({ item: each })).join("");
  }
  return typeof value === "object"
    ? Object.entries(value)
        .filter(([, child]) => child !== undefined)
        .map(([name, child]) => `<${name}>${toXml(child)}</${name}>`)
        .join("")
    : String(value);
}
