import { readFileSync } from "node:fs";
import {
  CreateBucketCommand,
  DeleteBucketCommand,
  DeleteBucketPolicyCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  PutBucketEncryptionCommand,
  PutBucketPolicyCommand,
  PutObjectCommand,
  PutPublicAccessBlockCommand,
  S3Client,
  type ServerSideEncryptionRule,
} from "@aws-sdk/client-s3";
import { InputError, type Props, type ResourceDefinition } from "../framework";
import { connection, uniqueName } from "./account";

const client = () => new S3Client({ ...connection(), forcePathStyle: true });

const bucket: ResourceDefinition = {
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
  create: async (inputs) => {
    // S3 allows 63 characters, of which the provider's suffix takes 26.
    const name = (inputs.bucket as string | undefined) ?? uniqueName(inputs.bucketPrefix).slice(0, 63);
    await client().send(new CreateBucketCommand({ Bucket: name }));
    return { id: name, outputs: { bucket: name, arn: `arn:aws:s3:::${name}` } };
  },
  update: async () => ({}),
  delete: async (id, olds) => {
    if (olds.forceDestroy === true) {
      const { Contents = [] } = await client().send(new ListObjectsV2Command({ Bucket: id }));
      for (const { Key } of Contents) {
        await client().send(new DeleteObjectCommand({ Bucket: id, Key }));
      }
    }
    await client().send(new DeleteBucketCommand({ Bucket: id }));
  },
};

const object: ResourceDefinition = {
  inputs: ["bucket", "key", "content", "source", "contentType", "tags"],
  replaceOn: ["bucket", "key"],
  create: async (inputs) => {
    await put(inputs);
    return { id: `${inputs.bucket}/${inputs.key}`, outputs: {} };
  },
  update: async (_id, _olds, news) => {
    await put(news);
    return {};
  },
  delete: async (_id, olds) => {
    await client().send(new DeleteObjectCommand({ Bucket: olds.bucket as string, Key: olds.key as string }));
  },
};

async function put(inputs: Props): Promise<void> {
  await client().send(
    new PutObjectCommand({
      Bucket: inputs.bucket as string,
      Key: inputs.key as string,
      Body: body(inputs),
      ContentType: inputs.contentType as string,
    }),
  );
}

function body(inputs: Props): string | Buffer {
  const { asset } = (inputs.source ?? {}) as { asset?: { path?: string } };
  if (asset?.path) {
    return readFileSync(asset.path);
  }
  if (typeof inputs.content !== "string") {
    throw new InputError("content", "the local fake requires content, or source with a FileAsset");
  }
  return inputs.content;
}

/** A bucket's setting, recorded under the bucket's name, as in the real provider. */
function setting(
  input: string,
  apply: (bucketName: string, inputs: Props) => Promise<unknown>,
  more: Partial<ResourceDefinition> = {},
  others: string[] = [],
): ResourceDefinition {
  return {
    inputs: ["bucket", input, ...others],
    replaceOn: ["bucket"],
    create: async (inputs) => {
      await apply(inputs.bucket as string, inputs);
      return { id: inputs.bucket as string, outputs: {} };
    },
    update: async (_id, _olds, news) => {
      await apply(news.bucket as string, news);
      return {};
    },
    ...more,
  };
}

const publicAccessBlock = setting(
  "blockPublicAcls",
  (name, inputs) =>
    client().send(
      new PutPublicAccessBlockCommand({
        Bucket: name,
        PublicAccessBlockConfiguration: {
          BlockPublicAcls: inputs.blockPublicAcls === true,
          BlockPublicPolicy: inputs.blockPublicPolicy === true,
          IgnorePublicAcls: inputs.ignorePublicAcls === true,
          RestrictPublicBuckets: inputs.restrictPublicBuckets === true,
        },
      }),
    ),
  {},
  ["blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets"],
);

const encryption = setting("rules", (name, inputs) => {
  const rules = inputs.rules as { applyServerSideEncryptionByDefault: { sseAlgorithm: string } }[];
  return client().send(
    new PutBucketEncryptionCommand({
      Bucket: name,
      ServerSideEncryptionConfiguration: {
        Rules: rules.map(
          ({ applyServerSideEncryptionByDefault: { sseAlgorithm } }) =>
            ({
              ApplyServerSideEncryptionByDefault: { SSEAlgorithm: sseAlgorithm },
            }) as ServerSideEncryptionRule,
        ),
      },
    }),
  );
});

const policy = setting(
  "policy",
  (name, inputs) =>
    client().send(new PutBucketPolicyCommand({ Bucket: name, Policy: inputs.policy as string })),
  { delete: async (id) => void (await client().send(new DeleteBucketPolicyCommand({ Bucket: id }))) },
);

export const s3: Record<string, ResourceDefinition> = {
  "aws:s3/bucket:Bucket": bucket,
  "aws:s3/bucketObjectv2:BucketObjectv2": object,
  "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": publicAccessBlock,
  "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": encryption,
  "aws:s3/bucketPolicy:BucketPolicy": policy,
};

/** The invoke `aws.s3.getObject`: the object's properties and its text. */
export async function getObject(args: Props): Promise<Props> {
  const answer = await client().send(
    new GetObjectCommand({ Bucket: args.bucket as string, Key: args.key as string }),
  );
  return { ...args, id: `${args.bucket}/${args.key}`, body: await answer.Body?.transformToString() };
}
