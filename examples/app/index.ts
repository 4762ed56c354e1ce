import { join } from "node:path";
import * as cloudwatch from "@pulumi/aws/cloudwatch";
import * as iam from "@pulumi/aws/iam";
import * as lambda from "@pulumi/aws/lambda";
import * as pulumi from "@pulumi/pulumi";
import { readEmbeddingStack } from "./embeddingStack";

/** A search function for the embedding stack. It reads its key from the stack's secret when it runs. */
export = async () => {
  const config = new pulumi.Config();
  const embedding = await readEmbeddingStack(config.require("embeddingStack"), config.get("client"));
  const name = `qwen3-app-${pulumi.getStack()}`;

  const logs = new cloudwatch.LogGroup(name, { retentionInDays: 30 });
  const role = new iam.Role(name, {
    description: "What the search function may do",
    assumeRolePolicy: JSON.stringify({
      Version: "2012-10-17",
      Statement: [
        { Effect: "Allow", Principal: { Service: "lambda.amazonaws.com" }, Action: "sts:AssumeRole" },
      ],
    }),
    // An empty setting means none.
    permissionsBoundary: config.get("permissionsBoundary") || undefined,
  });
  const permissions = new iam.RolePolicy(name, {
    role: role.id,
    policy: pulumi.jsonStringify({
      Version: "2012-10-17",
      Statement: [
        // Only the one client's secret, by its exact ARN. The key itself never passes through this program.
        {
          Sid: "ReadOwnKey",
          Effect: "Allow",
          Action: "secretsmanager:GetSecretValue",
          Resource: embedding.secretArn,
        },
        {
          Sid: "WriteLogs",
          Effect: "Allow",
          Action: ["logs:CreateLogStream", "logs:PutLogEvents"],
          Resource: pulumi.interpolate`${logs.arn}:*`,
        },
      ],
    }),
  });
  const search = new lambda.Function(
    name,
    {
      description: "Searches a few hundred documents in Chinese and English",
      role: role.arn,
      runtime: lambda.Runtime.NodeJS24dX,
      architectures: ["arm64"],
      handler: "index.handler",
      code: new pulumi.asset.AssetArchive({
        ...service("index.mjs", "key.mjs", "embeddings.mjs", "search.mjs"),
        "corpus.jsonl": new pulumi.asset.FileAsset(join(__dirname, "../corpus/corpus.jsonl")),
        "ca.pem": new pulumi.asset.StringAsset(embedding.caCertificate),
      }),
      memorySize: 512,
      timeout: 60,
      environment: {
        variables: {
          EMBEDDING_API_BASE: embedding.endpoint,
          EMBEDDING_MODEL: embedding.model,
          EMBEDDING_SECRET_ARN: embedding.secretArn,
        },
      },
      loggingConfig: { logFormat: "JSON", logGroup: logs.name },
    },
    // The first call of a function fails if it starts before its role may read the secret.
    { dependsOn: [permissions] },
  );
  return { functionName: search.name, roleArn: role.arn };
};

function service(...files: string[]): Record<string, pulumi.asset.Asset> {
  return Object.fromEntries(
    files.map((file) => [file, new pulumi.asset.FileAsset(join(__dirname, "service", file))]),
  );
}
