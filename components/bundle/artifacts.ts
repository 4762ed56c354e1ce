import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as s3 from "@pulumi/aws/s3";
import * as pulumi from "@pulumi/pulumi";
import type { Bundle } from "./bundle";
import { CACHE } from "./cache";

export interface ArtifactsArgs {
  bundle: Bundle;
  /** Secret ARNs by client name. */
  clients: Record<string, pulumi.Input<string>>;
  /** Secret with the endpoint's certificate. */
  certificateSecretArn: pulumi.Input<string>;
  keyGraceSeconds: number;
}

/**
 * The stack's own bucket: encrypted, private, TLS only. It contains the bundle, named by its digest, and an index that
 * instances poll. The contents of the index (clients, grace) change without a new instance.
 */
export class Artifacts extends pulumi.ComponentResource {
  readonly bucket: pulumi.Output<string>;
  readonly bucketArn: pulumi.Output<string>;
  readonly bundleKey: pulumi.Output<string>;
  readonly indexKey: pulumi.Output<string>;

  constructor(name: string, args: ArtifactsArgs, opts?: pulumi.ComponentResourceOptions) {
    super("qwen3-embedding-stack:index:Artifacts", name, {}, opts);
    const bucket = this.createBucket(name);
    this.bucket = bucket.bucket;
    this.bucketArn = bucket.arn;
    this.bundleKey = this.uploadBundle(name, bucket, args.bundle).key;
    this.indexKey = this.writeIndex(name, bucket, args).key;
    this.registerOutputs({ bucket: this.bucket, bundleKey: this.bundleKey, indexKey: this.indexKey });
  }

  private createBucket(name: string): s3.Bucket {
    const bucket = new s3.Bucket(
      name,
      // The program can create all its objects again.
      { bucketPrefix: `${name}-`, forceDestroy: true },
      { parent: this },
    );
    const access = new s3.BucketPublicAccessBlock(
      name,
      {
        bucket: bucket.id,
        blockPublicAcls: true,
        blockPublicPolicy: true,
        ignorePublicAcls: true,
        restrictPublicBuckets: true,
      },
      { parent: this },
    );
    new s3.BucketServerSideEncryptionConfiguration(
      name,
      { bucket: bucket.id, rules: [{ applyServerSideEncryptionByDefault: { sseAlgorithm: "AES256" } }] },
      { parent: this },
    );
    new s3.BucketPolicy(
      name,
      {
        bucket: bucket.id,
        policy: pulumi.jsonStringify({
          Version: "2012-10-17",
          Statement: [
            {
              Sid: "RefusePlainHttp",
              Effect: "Deny",
              Principal: "*",
              Action: "s3:*",
              Resource: [bucket.arn, pulumi.interpolate`${bucket.arn}/*`],
              Condition: { Bool: { "aws:SecureTransport": "false" } },
            },
          ],
        }),
      },
      { parent: this, dependsOn: [access] },
    );
    return bucket;
  }

  private uploadBundle(name: string, bucket: s3.Bucket, bundle: Bundle): s3.BucketObjectv2 {
    return new s3.BucketObjectv2(
      // Named by its contents, as its key: if an update fails and is undone, the engine must not delete the old object as
      // the replaced one.
      `${name}-bundle-${bundle.sha256.slice(0, 8)}`,
      {
        bucket: bucket.id,
        key: `bundles/${bundle.sha256}.tar`,
        source: new pulumi.asset.FileAsset(writeToCache(bundle)),
        contentType: "application/x-tar",
      },
      { parent: this },
    );
  }

  private writeIndex(name: string, bucket: s3.Bucket, args: ArtifactsArgs): s3.BucketObjectv2 {
    return new s3.BucketObjectv2(
      `${name}-index`,
      {
        bucket: bucket.id,
        key: "config/index.json",
        content: pulumi.jsonStringify({
          version: 1,
          keyGraceSeconds: args.keyGraceSeconds,
          clients: args.clients,
          tls: args.certificateSecretArn,
        }),
        contentType: "application/json",
      },
      { parent: this },
    );
  }
}

/** A file for the engine to upload, so that state keeps the bundle's digest and not its bytes. */
function writeToCache(bundle: Bundle): string {
  const folder = join(CACHE, "bundles");
  mkdirSync(folder, { recursive: true });
  const path = join(folder, `${bundle.sha256}.tar`);
  writeFileSync(path, bundle.content);
  return path;
}
