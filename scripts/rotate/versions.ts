import {
  GetSecretValueCommand,
  ListSecretVersionIdsCommand,
  SecretsManagerClient,
  UpdateSecretVersionStageCommand,
} from "@aws-sdk/client-secrets-manager";
import { type AwsAccess, awsClientConfig } from "../lib/aws";

export type Stage = "AWSCURRENT" | "AWSPREVIOUS";

/** One labelled version of a secret. */
export interface Version {
  id: string;
  created: Date;
}

/** The labelled versions of one client's secret, as Secrets Manager has them. */
export class SecretVersions {
  readonly #access: AwsAccess;
  readonly #secretArn: string;

  constructor(secretArn: string, access: AwsAccess) {
    this.#access = access;
    this.#secretArn = secretArn;
  }

  /** undefined where no version has the label. */
  async labelled(stage: Stage): Promise<Version | undefined> {
    const { Versions = [] } = await this.#send((secrets) =>
      secrets.send(new ListSecretVersionIdsCommand({ SecretId: this.#secretArn })),
    );
    const found = Versions.find(({ VersionStages }) => VersionStages?.includes(stage));
    return found && { id: found.VersionId!, created: found.CreatedDate! };
  }

  /** The version's value, which is a key. */
  async value(stage: Stage): Promise<string> {
    const { SecretString } = await this.#send((secrets) =>
      secrets.send(new GetSecretValueCommand({ SecretId: this.#secretArn, VersionStage: stage })),
    );
    if (!SecretString) {
      throw new Error(`${stage} of ${this.#secretArn} has no text`);
    }
    return SecretString;
  }

  /** Takes AWSPREVIOUS from the version that has it: machines then refuse its key at their next poll. */
  async dropPrevious({ id }: Version): Promise<void> {
    await this.#send((secrets) =>
      secrets.send(
        new UpdateSecretVersionStageCommand({
          SecretId: this.#secretArn,
          VersionStage: "AWSPREVIOUS",
          RemoveFromVersionId: id,
        }),
      ),
    );
  }

  async #send<T>(call: (secrets: SecretsManagerClient) => Promise<T>): Promise<T> {
    const secrets = new SecretsManagerClient(awsClientConfig(this.#access));
    try {
      return await call(secrets);
    } finally {
      secrets.destroy();
    }
  }
}
