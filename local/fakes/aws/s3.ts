import { readFileSync } from "node:fs";
import { S3 } from "@aws-sdk/client-s3";
import { InputError, type Props, type ResourceDefinition } from "../framework";
import { lazily, uniqueName } from "./account";
import { resource } from "./resource";

const s3 = lazily(S3);

interface EncryptionRule {
  applyServerSideEncryptionByDefault: { sseAlgorithm: "AES256" | "aws:kms" };
}

const bucket = resource({
  inputs: ["bucket", "bucketPrefix", "forceDestroy", "tags"],
  replaceOn: ["bucket", "bucketPrefix"],
  check: (inputs) => {
    if (String(inputs.bucketPrefix ?? "").length > 37) {
      throw new InputError(
        "bucketPrefix",
        `is ${String(inputs.bucketPrefix)}; the provider allows 37 characters`,
      );
    }
    return inputs;
  },
  create: async ({ bucket: given, bucketPrefix }) => {
    // S3 allows 63 characters, of which the provider's suffix takes 26.
    const name = given ?? uniqueName(bucketPrefix).slice(0, 63);
    await s3().createBucket({ Bucket: name });
    return { id: name, bucket: name, arn: `arn:aws:s3:::${name}` };
  },
  update: async () => undefined,
  delete: async ({ id, forceDestroy }) => {
    if (forceDestroy === true) {
      const { Contents = [] } = await s3().listObjectsV2({ Bucket: id });
      await Promise.all(Contents.map(({ Key }) => s3().deleteObject({ Bucket: id, Key })));
    }
    await s3().deleteBucket({ Bucket: id });
  },
});

const put = ({ bucket, key, content, source, contentType }: Props) =>
  s3().putObject({
    Bucket: String(bucket),
    Key: String(key),
    Body: body(content, source),
    ContentType: contentType as string | undefined,
  });

function body(content: unknown, source: unknown): string | Buffer {
  const { asset } = (source ?? {}) as { asset?: { path?: string } };
  if (asset?.path) {
    return readFileSync(asset.path);
  }
  if (typeof content !== "string") {
    throw new InputError("content", "the local fake requires content, or source with a FileAsset");
  }
  return content;
}

const object = resource({
  inputs: ["bucket", "key", "content", "source", "contentType", "tags"],
  replaceOn: ["bucket", "key"],
  create: async (inputs) => {
    await put(inputs);
    return { id: `${inputs.bucket}/${inputs.key}` };
  },
  update: put,
  delete: ({ bucket: name, key }) => s3().deleteObject({ Bucket: name, Key: key }),
});

/** A setting of a bucket has the bucket's name as its ID, as in the real provider. */
function setting(
  inputs: string[],
  apply: (inputs: Props, name: string) => Promise<unknown>,
  remove?: (name: string) => Promise<unknown>,
): ResourceDefinition {
  return resource<string>({
    inputs: ["bucket", ...inputs],
    replaceOn: ["bucket"],
    create: async (news) => {
      await apply(news, news.bucket);
      return { id: news.bucket };
    },
    update: (news) => apply(news, news.bucket),
    delete: remove && (({ id }) => remove(id)),
  });
}

export const s3Resources: Record<string, ResourceDefinition> = {
  "aws:s3/bucket:Bucket": bucket,
  "aws:s3/bucketObjectv2:BucketObjectv2": object,
  "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": setting(
    ["blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets"],
    (inputs, Bucket) =>
      s3().putPublicAccessBlock({
        Bucket,
        PublicAccessBlockConfiguration: {
          BlockPublicAcls: inputs.blockPublicAcls === true,
          BlockPublicPolicy: inputs.blockPublicPolicy === true,
          IgnorePublicAcls: inputs.ignorePublicAcls === true,
          RestrictPublicBuckets: inputs.restrictPublicBuckets === true,
        },
      }),
  ),
  "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": setting(
    ["rules"],
    ({ rules }, Bucket) =>
      s3().putBucketEncryption({
        Bucket,
        ServerSideEncryptionConfiguration: {
          Rules: (rules as EncryptionRule[]).map(({ applyServerSideEncryptionByDefault: rule }) => ({
            ApplyServerSideEncryptionByDefault: { SSEAlgorithm: rule.sseAlgorithm },
          })),
        },
      }),
  ),
  "aws:s3/bucketPolicy:BucketPolicy": setting(
    ["policy"],
    ({ policy }, Bucket) => s3().putBucketPolicy({ Bucket, Policy: String(policy) }),
    (Bucket) => s3().deleteBucketPolicy({ Bucket }),
  ),
};

/** The invoke `aws.s3.getObject`: the object's properties and its text. */
export async function getObject(args: Props): Promise<Props> {
  const { Body } = await s3().getObject({ Bucket: String(args.bucket), Key: String(args.key) });
  return { ...args, id: `${args.bucket}/${args.key}`, body: await Body?.transformToString() };
}
