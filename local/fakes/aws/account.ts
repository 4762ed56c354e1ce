import { randomBytes } from "node:crypto";

/** The emulator's account ID. */
export const ACCOUNT_ID = "123456789012";

/** The provider's region, set by Configure. Each explicit provider is a separate process. */
let region = "us-east-1";

export function configureRegion(value: string): void {
  region = value;
}

export function currentRegion(): string {
  return region;
}

/** The emulator's endpoint and its administrator's credentials, for SDK clients. */
export const connection = () => ({
  endpoint: process.env.AWS_ENDPOINT_URL,
  region,
  credentials: {
    accessKeyId: process.env.AWS_ACCESS_KEY_ID ?? "",
    secretAccessKey: process.env.AWS_SECRET_ACCESS_KEY ?? "",
  },
});

/** Returns a function that returns the one client of this class, made when first called: the region is known then. */
export function lazily<Client>(Class: new (config: ReturnType<typeof connection>) => Client): () => Client {
  let client: Client | undefined;
  return () => {
    client ??= new Class({ ...connection(), forcePathStyle: true } as ReturnType<typeof connection>);
    return client;
  };
}

/** An ID in EC2's format, for example `vpc-` and 17 hexadecimal digits. */
export function ec2Id(prefix: string): string {
  return `${prefix}-${randomBytes(9).toString("hex").slice(0, 17)}`;
}

/** A unique name with the prefix, in the provider's format. */
export function uniqueName(prefix: unknown): string {
  return `${String(prefix)}${new Date().toISOString().replace(/\D/g, "")}${randomBytes(4).toString("hex")}`;
}

export function arn(service: string, resource: string): string {
  return `arn:aws:${service}:${region}:${ACCOUNT_ID}:${resource}`;
}
