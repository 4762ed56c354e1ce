import {
  type DescribeSecretCommandOutput,
  ResourceNotFoundException,
  SecretsManager,
} from "@aws-sdk/client-secrets-manager";
import type { Props, ResourceDefinition } from "../framework";
import { lazily, uniqueName } from "./account";
import { resource, tagList } from "./resource";

const secrets = lazily(SecretsManager);

const secret = resource({
  inputs: ["name", "namePrefix", "description", "recoveryWindowInDays", "tags"],
  replaceOn: ["name", "namePrefix"],
  check: (inputs) => ({ recoveryWindowInDays: 30, ...inputs }),
  create: async ({ name, namePrefix, description, tags }) => {
    const Name = name ?? uniqueName(namePrefix);
    const { ARN } = await secrets().createSecret({ Name, Description: description, Tags: tagList(tags) });
    return { id: ARN, arn: ARN, name: Name };
  },
  update: ({ id, description }) => secrets().updateSecret({ SecretId: id, Description: description }),
  delete: ({ id, recoveryWindowInDays: days }) =>
    secrets().deleteSecret({
      SecretId: id,
      ...(days === 0 ? { ForceDeleteWithoutRecovery: true } : { RecoveryWindowInDays: Number(days) }),
    }),
});

/** A version's ID is `ARN|VERSION`. */
const parts = (id: string) => id.split("|") as [arn: string, versionId: string];

const secretVersion = resource({
  inputs: ["secretId", "secretString", "versionStages"],
  replaceOn: ["secretId", "secretString"],
  secrets: ["secretString"],
  create: async ({ secretId, secretString, versionStages }) => {
    const { ARN, VersionId, VersionStages } = await secrets().putSecretValue({
      SecretId: secretId,
      SecretString: secretString,
      VersionStages: versionStages,
    });
    return { id: `${ARN}|${VersionId}`, arn: ARN, versionId: VersionId, versionStages: VersionStages };
  },
  // As in the real provider (terraform-provider-aws, secret_version.go): labels are moved in place and refreshed. A
  // delete removes the labels in the state, except for AWSCURRENT, which cannot be removed.
  update: async ({ id, versionStages: stages }, { versionStages: before }) => {
    const [SecretId, MoveToVersionId] = parts(id);
    const holders = Object.entries((await describe(SecretId))?.VersionIdsToStages ?? {});
    for (const VersionStage of (stages ?? []).filter((each: string) => !(before ?? []).includes(each))) {
      const RemoveFromVersionId = holders.find(([, held]) => held.includes(VersionStage))?.[0];
      await secrets().updateSecretVersionStage({
        SecretId,
        VersionStage,
        MoveToVersionId,
        RemoveFromVersionId,
      });
    }
  },
  read: async (id, olds) => {
    const [arn, versionId] = parts(id);
    const found = await describe(arn);
    // A version without a label is not described, but can still be read.
    return found && { id, outputs: { ...olds, versionStages: found.VersionIdsToStages?.[versionId] ?? [] } };
  },
  delete: async ({ id, versionStages }) => {
    const [SecretId, RemoveFromVersionId] = parts(id);
    for (const VersionStage of (versionStages ?? []).filter((each: string) => each !== "AWSCURRENT")) {
      await unlessMissing(
        secrets().updateSecretVersionStage({ SecretId, VersionStage, RemoveFromVersionId }),
      );
    }
  },
});

/** Returns undefined for a secret that does not exist or is scheduled for deletion. */
async function describe(arn: string): Promise<DescribeSecretCommandOutput | undefined> {
  const described = await unlessMissing(secrets().describeSecret({ SecretId: arn }));
  return described?.DeletedDate ? undefined : described;
}

function unlessMissing<T>(call: Promise<T>): Promise<T | undefined> {
  return call.catch((error: unknown) => {
    if (error instanceof ResourceNotFoundException) {
      return undefined;
    }
    throw error;
  });
}

/** The invoke `aws.secretsmanager.getSecretVersion`: the current value and when it was put. */
export async function getSecretVersion(args: Props): Promise<Props> {
  const answer = await secrets().getSecretValue({ SecretId: String(args.secretId) });
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

export const secretsmanagerResources: Record<string, ResourceDefinition> = {
  "aws:secretsmanager/secret:Secret": secret,
  "aws:secretsmanager/secretVersion:SecretVersion": secretVersion,
};
