import { randomBytes } from "node:crypto";

/** The emulator's account and region. */
export const ACCOUNT_ID = "123456789012";
export const REGION = "us-east-1";

/** Where the emulator answers, and who may do everything there; the SDK's clients take this as it is. */
export const connection = {
  endpoint: process.env.AWS_ENDPOINT_URL,
  region: REGION,
  credentials: {
    accessKeyId: process.env.AWS_ACCESS_KEY_ID ?? "",
    secretAccessKey: process.env.AWS_SECRET_ACCESS_KEY ?? "",
  },
};

/** An ID as EC2 gives them, for instance `vpc-` and 17 hexadecimal digits. */
export function ec2Id(prefix: string): string {
  return `${prefix}-${randomBytes(9).toString("hex").slice(0, 17)}`;
}

/** A name from a prefix, as the provider makes them. */
export function uniqueName(prefix: unknown): string {
  return `${String(prefix)}${new Date().toISOString().replace(/\D/g, "")}${randomBytes(4).toString("hex")}`;
}

export function arn(service: string, resource: string): string {
  return `arn:aws:${service}:${REGION}:${ACCOUNT_ID}:${resource}`;
}
