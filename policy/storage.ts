import type { PolicyResource, StackValidationPolicy } from "@pulumi/policy";
import { isKnown, list, part, resourcePolicy } from "./resources";

const BUCKET = "aws:s3/bucket:Bucket";
const ACCESS = "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock";
const ENCRYPTION = "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration";
const POLICY = "aws:s3/bucketPolicy:BucketPolicy";

const CLOSED = ["blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets"];

const PRIVATE_BUCKETS: StackValidationPolicy = {
  name: "private-encrypted-buckets",
  description: "Every bucket blocks public access, is encrypted, and denies plain HTTP.",
  enforcementLevel: "mandatory",
  validateStack: ({ resources }, report) => {
    for (const bucket of resources.filter(({ type }) => type === BUCKET)) {
      const of = (type: string) => resources.filter((each) => each.type === type && isOf(each, bucket));
      if (!of(ACCESS).some(({ props }) => CLOSED.every((name) => props[name] === true))) {
        report("not all four public access block settings of the bucket are on", bucket.urn);
      }
      if (!of(ENCRYPTION).some(({ props }) => list(props.rules).some(encrypts))) {
        report("the bucket has no default encryption", bucket.urn);
      }
      if (!of(POLICY).some(({ props }) => !isKnown(props.policy) || refusesPlainHttp(String(props.policy)))) {
        report("the bucket's policy does not deny plain HTTP", bucket.urn);
      }
    }
  },
};

/** Resources that may contain text, except the secrets themselves. */
const SECRETS_IN_THEIR_PLACE = resourcePolicy(
  "keys-in-secrets-manager-only",
  "Only secrets and certificates contain keys of this stack or private keys.",
  [
    "aws:s3/bucketObjectv2:BucketObjectv2",
    "aws:ssm/parameter:Parameter",
    "aws:iam/rolePolicy:RolePolicy",
    "command:local:Command",
  ],
  (props) =>
    /qwen3_[0-9A-Za-z]{48}|-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(JSON.stringify(props))
      ? ["an input contains a key"]
      : [],
);

export const storagePolicies = [PRIVATE_BUCKETS, SECRETS_IN_THEIR_PLACE];

function isOf(setting: PolicyResource, bucket: PolicyResource): boolean {
  return (setting.propertyDependencies.bucket ?? []).some(({ urn }) => urn === bucket.urn);
}

function encrypts(rule: Record<string, unknown>): boolean {
  return ["AES256", "aws:kms", "aws:kms:dsse"].includes(
    String(part(rule, "applyServerSideEncryptionByDefault", "sseAlgorithm")),
  );
}

function refusesPlainHttp(policy: string): boolean {
  const { Statement } = JSON.parse(policy) as { Statement: Record<string, unknown>[] };
  return Statement.some(
    (statement) =>
      statement.Effect === "Deny" &&
      statement.Action === "s3:*" &&
      part(statement, "Condition", "Bool", "aws:SecureTransport") === "false",
  );
}
