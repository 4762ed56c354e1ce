import {
  CreateSecretCommand,
  DeleteSecretCommand,
  DescribeSecretCommand,
  PutSecretValueCommand,
  ResourceNotFoundException,
  SecretsManagerClient,
  UpdateSecretCommand,
  UpdateSecretVersionStageCommand,
} from "@aws-sdk/client-secrets-manager";
import type { Props, ResourceDefinition } from "../framework";
import { connection, uniqueName } from "./account";

const client = () => new SecretsManagerClient(connection);

const secret: ResourceDefinition = {
  inputs: ["name", "namePrefix", "description", "recoveryWindowInDays", "tags"],
  replaceOn: ["name", "namePrefix"],
  check: (inputs) => ({ recoveryWindowInDays: 30, ...inputs }),
  create: async (inputs) => {
    const name = (inputs.name as string | undefined) ?? uniqueName(inputs.namePrefix);
    const { ARN } = await client().send(
      new CreateSecretCommand({ Name: name, Description: inputs.description as string, Tags: tags(inputs) }),
    );
    return { id: ARN!, outputs: { arn: ARN, name } };
  },
  update: async (id, _olds, news) => {
    await client().send(new UpdateSecretCommand({ SecretId: id, Description: news.description as string }));
    return {};
  },
  delete: async (id, olds) => {
    const days = Number(olds.recoveryWindowInDays);
    await client().send(
      new DeleteSecretCommand({
        SecretId: id,
        ...(days === 0 ? { ForceDeleteWithoutRecovery: true } : { RecoveryWindowInDays: days }),
      }),
    );
  },
};

const secretVersion: ResourceDefinition = {
  inputs: ["secretId", "secretString"],
  replaceOn: ["secretId", "secretString"],
  secrets: ["secretString"],
  create: async (inputs) => {
    const { ARN, VersionId, VersionStages } = await client().send(
      new PutSecretValueCommand({
        SecretId: inputs.secretId as string,
        SecretString: inputs.secretString as string,
      }),
    );
    return {
      id: `${ARN}|${VersionId}`,
      outputs: { arn: ARN, versionId: VersionId, versionStages: VersionStages },
    };
  },
  // As the real provider does: takes away the labels that the version still has, except for AWSCURRENT,
  // which cannot be taken away, and AWSPREVIOUS, which survives (terraform-provider-aws, secret_version.go).
  delete: async (id) => {
    const [arn, versionId] = id.split("|") as [string, string];
    try {
      const described = await client().send(new DescribeSecretCommand({ SecretId: arn }));
      for (const stage of described.VersionIdsToStages?.[versionId] ?? []) {
        if (stage !== "AWSCURRENT" && stage !== "AWSPREVIOUS") {
          await client().send(
            new UpdateSecretVersionStageCommand({
              SecretId: arn,
              VersionStage: stage,
              RemoveFromVersionId: versionId,
            }),
          );
        }
      }
    } catch (error) {
      if (!(error instanceof ResourceNotFoundException)) {
        throw error;
      }
    }
  },
};

function tags(inputs: Props) {
  return Object.entries((inputs.tags ?? {}) as Record<string, string>).map(([Key, Value]) => ({
    Key,
    Value,
  }));
}

export const secretsmanager: Record<string, ResourceDefinition> = {
  "aws:secretsmanager/secret:Secret": secret,
  "aws:secretsmanager/secretVersion:SecretVersion": secretVersion,
};
