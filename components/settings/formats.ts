/** `us-east-1a`, not a Local Zone such as `us-east-1-atl-2a`, which has no Elastic IP address of the region. */
export const ZONE = /^[a-z]{2,}(-[a-z]+)+-\d[a-z]$/;

export const S3_PREFIX = /^s3:\/\/[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]\/[\w./-]+$/;

/** ARN of a managed policy of an account, in any partition. */
export const POLICY_ARN = /^arn:aws[a-z-]*:iam::\d{12}:policy\/[\w+=,.@/-]{1,512}$/;

const HUGGING_FACE = /^hf:\/\/[\w.-]+\/[\w.-]+@[0-9a-f]{40}$/;

export function isModelSource(text: string): boolean {
  return HUGGING_FACE.test(text) || S3_PREFIX.test(text);
}

/** Bucket and prefix of `s3://BUCKET/PREFIX`, without a slash at the end; undefined for anything else. */
export function parseS3Prefix(source: string): { bucket: string; prefix: string } | undefined {
  const match = /^s3:\/\/([^/]+)\/(.+?)\/?$/.exec(source);
  return match ? { bucket: match[1]!, prefix: match[2]! } : undefined;
}

/** Two labels or more. ACM accepts up to 64 characters for the first name of a certificate. */
export function isDomain(text: string): boolean {
  return text.length <= 64 && /^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}$/.test(text);
}

export function isHttpUrl(text: string): boolean {
  return URL.canParse(text) && /^https?:$/.test(new URL(text).protocol);
}

/** Bits of the network part of `A.B.C.D/BITS`. */
export function prefixLength(range: string): number {
  return Number(range.split("/")[1]);
}

/** An IPv4 range whose host bits are zero, as EC2 requires. */
export function isCidr(range: string): boolean {
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
