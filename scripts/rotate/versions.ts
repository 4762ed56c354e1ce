import {
  ListSecretVersionIdsCommand,
  SecretsManagerClient,
  UpdateSecretVersionStageCommand,
} from "@aws-sdk/client-secrets-manager";
import { type AwsAccess, awsClientConfig } from "../lib/aws";
import { readKey } from "../lib/secrets";

export type Stage = "AWSCURRENT" | "AWSPREVIOUS";

/** One labelled version of a secret. */
export interface Version {
  id: string;
  created: Date;
}

/** The labelled versions of one client's secret in Secrets Manager. */
export class SecretVersions {
  readonly #access: AwsAccess;
  readonly #secretArn: string;

  readonly #onKey: (key: string) => void;

  /** @param onKey called with every key that is read */
  constructor(secretArn: string, access: AwsAccess, onKey: (key: string) => void) {
    this.#access = access;
    this.#secretArn = secretArn;
    this.#onKey = onKey;
  }

  /** By label; labels that no version has are absent. */
  async labelled(): Promise<Partial<Record<Stage, Version>>> {
    const { Versions = [] } = await this.#send((secrets) =>
      secrets.send(new ListSecretVersionIdsCommand({ SecretId: this.#secretArn })),
    );
    return Object.fromEntries(
      Versions.flatMap(({ VersionId, CreatedDate, VersionStages = [] }) =>
        VersionStages.map((stage) => [stage, { id: VersionId!, created: CreatedDate! }]),
      ),
    );
  }

  /** The key in the version with the label. */
  async value(stage: Stage): Promise<string> {
    const key = await readKey(this.#secretArn, this.#access, stage);
    this.#onKey(key);
    return key;
  }

  /** Removes AWSPREVIOUS from the version that has it. Instances refuse its key after their next poll. */
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
