import { GPU_INSTANCE_TYPES } from "../../components/compute/instanceTypes";
import { HOSTED, HOURS_A_MONTH, INSTANCE_HOUR, type Price, SERVICES } from "./prices";

/** The settings of a stack that the estimate depends on. */
export interface Priced {
  region: string;
  instanceType: string;
  clients: string[];
  rootVolumeGib: number;
  instancesMin: number;
  /** If set, instances are behind a load balancer. */
  domain: string | undefined;
  internal: boolean;
}

export interface Assumptions {
  /** Tokens per second per GPU. */
  tokensPerSecond: number;
  /** Hours per month that instances run. The other resources always exist. */
  hours: number;
  /** Number of instances that run; the setting instancesMin by default. */
  machines?: number;
}

export interface Line {
  what: string;
  /** US dollars per hour while instances run, and per month. */
  hour: number;
  month: number;
  price: Price;
}

export interface Estimate {
  lines: Line[];
  hour: number;
  month: number;
  /** Tokens per second of all GPUs together. */
  tokensPerSecond: number;
  /** US dollars per million tokens if every GPU is busy for as long as instances run. */
  perMillionTokens: number;
  /** Hosted prices, and the tokens per month at which this stack costs the same, if it can process as many. */
  hosted: { name: string; price: Price; breakEvenTokens?: number }[];
  /** What the sum does not include. */
  leftOut: string[];
}

/** How often an instance polls each client's secret and the index, and the certificate; see qwen3/keys.py. */
const POLL_SECONDS = 5;
const CERTIFICATE_POLL_SECONDS = 60;
const SECONDS_AN_HOUR = 3600;

/** @throws Error for an instance type without a price, or a region other than that of the prices. */
export function estimate(settings: Priced, assumptions: Assumptions): Estimate {
  const machines = assumptions.machines ?? settings.instancesMin;
  if (settings.region !== "us-east-1") {
    throw new Error(
      `aws:region is ${JSON.stringify(settings.region)}; allowed: us-east-1, the only region with prices in scripts/cost/prices.ts`,
    );
  }
  const hourly = INSTANCE_HOUR[settings.instanceType];
  if (!hourly) {
    throw new Error(
      `instanceType is ${JSON.stringify(settings.instanceType)}; allowed: ${Object.keys(INSTANCE_HOUR).join(", ")}, which have a price in scripts/cost/prices.ts`,
    );
  }
  const lines = [
    ...instanceLines(settings, machines, assumptions.hours, hourly),
    // One per client and one for the certificate.
    always("secrets", SERVICES.secretMonth, settings.clients.length + 1, HOURS_A_MONTH),
    ...addressLines(settings, machines, assumptions.hours),
  ];
  const hour = sum(lines.map((line) => line.hour));
  const month = sum(lines.map((line) => line.month));
  const gpus = (GPU_INSTANCE_TYPES[settings.instanceType]?.count ?? 0) * machines;
  const tokensPerSecond = gpus * assumptions.tokensPerSecond;
  const tokensAMonth = tokensPerSecond * SECONDS_AN_HOUR * assumptions.hours;
  return {
    lines,
    hour,
    month,
    tokensPerSecond,
    perMillionTokens: month / (tokensAMonth / 1_000_000),
    hosted: HOSTED.map(({ name, ...price }) => {
      const tokens = (month / price.usd) * 1_000_000;
      return { name, price, ...(tokens <= tokensAMonth && { breakEvenTokens: tokens }) };
    }),
    leftOut: [
      "IOPS and throughput of the root volume above what gp3 includes (4000 IOPS and 500 MB/s are configured)",
      ...(settings.domain ? ["the load balancer, its addresses, VPC endpoints and metrics"] : []),
      "data transfer to the internet, logs, taxes, and the discounts of savings plans, reservations and spot",
    ],
  };
}

/** Costs per hour that an instance runs, and its volume, which remains while it is stopped. */
function instanceLines(settings: Priced, machines: number, hours: number, hourly: Price): Line[] {
  const polls = SECONDS_AN_HOUR / POLL_SECONDS;
  const running = (what: string, price: Price, units: number): Line => ({
    what,
    price,
    hour: price.usd * units * machines,
    month: price.usd * units * machines * hours,
  });
  return [
    running(`${machines} × ${settings.instanceType}`, hourly, 1),
    always("root volumes, gp3", SERVICES.gp3GibMonth, settings.rootVolumeGib * machines, HOURS_A_MONTH),
    running(
      "polling secrets",
      SERVICES.secretsManagerCall,
      polls * settings.clients.length + SECONDS_AN_HOUR / CERTIFICATE_POLL_SECONDS,
    ),
    running("polling the index", SERVICES.s3Get, polls),
  ];
}

/** A single instance's address remains while it is stopped. A fleet's instances have addresses while they run, or none. */
function addressLines({ domain, internal }: Priced, machines: number, hours: number): Line[] {
  const price = SERVICES.publicIpv4Hour;
  if (domain === undefined) {
    return [always("public address", price, 1, 1)];
  }
  const hour = price.usd * machines;
  return internal ? [] : [{ what: "public addresses", price, hour, month: hour * hours }];
}

/** Costs for the whole month: `units` at a price for `hoursPerUnit` hours each. */
function always(what: string, price: Price, units: number, hoursPerUnit: number): Line {
  const hour = (price.usd * units) / hoursPerUnit;
  return { what, price, hour, month: hour * HOURS_A_MONTH };
}

function sum(values: number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
