import * as secretsmanager from "@pulumi/aws/secretsmanager";
import * as pulumi from "@pulumi/pulumi";
import * as random from "@pulumi/random";

/** Prefix of every key, so that a secret scanner can match `qwen3_[0-9A-Za-z]{48}`. */
export const KEY_PREFIX = "qwen3_";

/** Secrets Manager's label of the current version. */
const CURRENT = "AWSCURRENT";

/** Base62 characters after the prefix: 48 × log2(62) = 285 bits. */
const KEY_LENGTH = 48;

export interface ApiKeyArgs {
  /** Name of the client in logs and limits. */
  client: string;
  /** Days for which Secrets Manager can restore the deleted secret; 0 deletes it immediately. */
  recoveryDays: number;
  /** Protect the secret. The password is never protected, because rotation replaces it. */
  protect?: boolean;
}

/**
 * The API key of one client: a random password, stored as a version of a secret in Secrets Manager.
 *
 * `pulumi up --replace URN` with {@link urnToReplace} rotates it: the new version becomes AWSCURRENT and the one before
 * it AWSPREVIOUS. If somebody stores another value in the secret, instances accept that value until the next update,
 * which warns and stores the declared key as a new version.
 */
export class ApiKey extends pulumi.ComponentResource {
  readonly secretArn: pulumi.Output<string>;
  /** Version with the current key; it changes when the key rotates. */
  readonly versionId: pulumi.Output<string>;
  /** URN of the password: replacing it rotates the key. */
  readonly urnToReplace: pulumi.Output<string>;

  constructor(name: string, args: ApiKeyArgs, opts?: pulumi.ComponentResourceOptions) {
    super("qwen3-embedding-stack:index:ApiKey", name, {}, opts);
    const password = new random.RandomPassword(
      name,
      { length: KEY_LENGTH, special: false },
      { parent: this },
    );
    const secret = new secretsmanager.Secret(
      name,
      {
        // With a random suffix, a new stack of the same name does not collide with a secret scheduled for deletion.
        namePrefix: `${name}-`,
        description: `API key of the embedding endpoint for the client ${args.client}`,
        recoveryWindowInDays: args.recoveryDays,
        tags: { client: args.client },
      },
      { parent: this, protect: args.protect },
    );
    const key = pulumi.secret(pulumi.interpolate`${KEY_PREFIX}${password.result}`);
    const version = this.createVersion(name, secret, key);
    this.warnOfAnotherValue(args.client, secret, key);
    this.secretArn = secret.arn;
    this.versionId = version.versionId;
    this.urnToReplace = password.urn;
    this.registerOutputs({
      secretArn: this.secretArn,
      versionId: this.versionId,
      urnToReplace: this.urnToReplace,
    });
  }

  private createVersion(
    name: string,
    secret: secretsmanager.Secret,
    key: pulumi.Output<string>,
  ): secretsmanager.SecretVersion {
    return new secretsmanager.SecretVersion(
      name,
      {
        secretId: secret.id,
        secretString: key,
        // Declared, so that a value stored by hand, which moves the label, is a difference that an update corrects.
        versionStages: [CURRENT],
      },
      {
        parent: this,
        // By a new version, not by moving the label back: the grace period of the value stored by hand begins with the
        // creation of the version after it.
        replaceOnChanges: ["versionStages"],
        // The provider's delete would remove AWSPREVIOUS from the version and end the grace period of the old key.
        // Secrets Manager itself deletes versions without a label.
        retainOnDelete: true,
      },
    );
  }

  /** In the preview, before the update corrects it. If the key is being replaced, it is unknown and there is no warning. */
  private warnOfAnotherValue(
    client: string,
    secret: secretsmanager.Secret,
    key: pulumi.Output<string>,
  ): void {
    if (!pulumi.runtime.isDryRun()) {
      return;
    }
    pulumi.all([secret.arn, key]).apply(async ([secretId, declared]) => {
      // A secret without a value has nothing to compare.
      const current = await secretsmanager
        .getSecretVersion({ secretId }, { parent: this, async: true })
        .catch(() => undefined);
      if (current && current.secretString !== declared) {
        await pulumi.log.warn(
          `client ${client}: the secret's current value, of ${current.createdDate}, is not the key that this stack declares: ` +
            "somebody stored it by hand, or a rotation was interrupted. Instances accept it. The update makes the " +
            "declared key current again as a new version; the other value remains valid for keyGraceSeconds. To revoke " +
            "the declared key instead, replace it in the same update: --replace with this client's URN in the output apiKeyUrns.",
          this,
        );
      }
    });
  }
}
