import {
  CreateSecretCommand,
  DeleteSecretCommand,
  DescribeSecretCommand,
  type DescribeSecretCommandOutput,
  GetSecretValueCommand,
  PutSecretValueCommand,
  ResourceNotFoundException,
  SecretsManagerClient,
  UpdateSecretCommand,
  UpdateSecretVersionStageCommand,
} from "@aws-sdk/client-secrets-manager";
import type { Props, ResourceDefinition } from "../framework";
import { connection, uniqueName } from "./account";

const client = () => new SecretsManagerClient(connection());

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
  inputs: ["secretId", "secretString", "versionStages"],
  replaceOn: ["secretId", "secretString"],
  secrets: ["secretString"],
  create: async (inputs) => {
    const { ARN, VersionId, VersionStages } = await client().send(
      new PutSecretValueCommand({
        SecretId: inputs.secretId as string,
        SecretString: inputs.secretString as string,
        VersionStages: inputs.versionStages as string[] | undefined,
      }),
    );
    return {
      id: `${ARN}|${VersionId}`,
      outputs: { arn: ARN, versionId: VersionId, versionStages: VersionStages },
    };
  },
  // As in the real provider (terraform-provider-aws, secret_version.go): labels are moved in place and refreshed. A
  // delete removes the labels in the state, except for AWSCURRENT, which cannot be removed.
  update: async (id, olds, news) => {
    const [arn, versionId] = id.split("|") as [string, string];
    const stages = (props: Props) => (props.versionStages ?? []) as string[];
    const holders = Object.entries((await describe(arn))?.VersionIdsToStages ?? {});
    for (const stage of stages(news).filter((each) => !stages(olds).includes(each))) {
      await client().send(
        new UpdateSecretVersionStageCommand({
          SecretId: arn,
          VersionStage: stage,
          MoveToVersionId: versionId,
          RemoveFromVersionId: holders.find(([, held]) => held.includes(stage))?.[0],
        }),
      );
    }
    return {};
  },
  read: async (id, olds) => {
    const [arn, versionId] = id.split("|") as [string, string];
    const found = await describe(arn);
    // A version without a label is not described, but can still be read.
    return found && { id, outputs: { ...olds, versionStages: found.VersionIdsToStages?.[versionId] ?? [] } };
  },
  delete: async (id, olds) => {
    const [arn, versionId] = id.split("|") as [string, string];
    try {
      for (const stage of (olds.versionStages ?? []) as string[]) {
        if (stage !== "AWSCURRENT") {
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

/** Returns undefined for a secret that does not exist or is scheduled for deletion. */
async function describe(arn: string): Promise<DescribeSecretCommandOutput | undefined> {
  try {
    const described = await client().send(new DescribeSecretCommand({ SecretId: arn }));
    return described.DeletedDate ? undefined : described;
  } catch (error) {
    if (error instanceof ResourceNotFoundException) {
      return undefined;
    }
    throw error;
  }
}

/** The invoke `aws.secretsmanager.getSecretVersion`: the current value and when it was put. */
export async function getSecretVersion(args: Props): Promise<Props> {
  const answer = await client().send(new GetSecretValueCommand({ SecretId: args.secretId as string }));
  return {
    ...args,
    id: `${args.secretId}|AWSCURRENT`,
    arn: answer.ARN,
    createdDate: answer.CreatedDate?.toISOString(),
    secretString: answer.SecretString,
    versionId: answer.VersionId,
    versionStages: answer.VersionStages,
  };
}

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
