import { randomBytes } from "node:crypto";

/** The emulator's account. */
export const ACCOUNT_ID = "123456789012";

/** The provider's region, set when the engine configures it: each explicit provider is a process of its own. */
let region = "us-east-1";

export function configureRegion(value: string): void {
  region = value;
}

export function currentRegion(): string {
  return region;
}

/** The emulator's endpoint and its administrator, as the SDK's clients take them. */
export const connection = () => ({
  endpoint: process.env.AWS_ENDPOINT_URL,
  region,
  credentials: {
    accessKeyId: process.env.AWS_ACCESS_KEY_ID ?? "",
    secretAccessKey: process.env.AWS_SECRET_ACCESS_KEY ?? "",
  },
});

/** An ID as EC2 gives them, for instance `vpc-` and 17 hexadecimal digits. */
export function ec2Id(prefix: string): string {
  return `${prefix}-${randomBytes(9).toString("hex").slice(0, 17)}`;
}

/** A name from a prefix, as the provider makes them. */
export function uniqueName(prefix: unknown): string {
  return `${String(prefix)}${new Date().toISOString().replace(/\D/g, "")}${randomBytes(4).toString("hex")}`;
}

export function arn(service: string, resource: string): string {
  return `arn:aws:${service}:${region}:${ACCOUNT_ID}:${resource}`;
}
