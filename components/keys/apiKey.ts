import * as secretsmanager from "@pulumi/aws/secretsmanager";
import * as pulumi from "@pulumi/pulumi";
import * as random from "@pulumi/random";

/** What every key begins with, so that a secret scanner can match `qwen3_[0-9A-Za-z]{48}`. */
export const KEY_PREFIX = "qwen3_";

/** Secrets Manager's label of the version that counts. */
const CURRENT = "AWSCURRENT";

/** Base62 characters after the prefix: 48 × log2(62) = 285 bits. */
const KEY_LENGTH = 48;

export interface ApiKeyArgs {
  /** The client that the key names in logs and limits. */
  client: string;
  /** Days for which a destroyed secret can be restored; 0 deletes at once. */
  recoveryDays: number;
  /** Refuse to destroy the secret. The password inside is never protected, or it could not rotate. */
  protect?: boolean;
}

/**
 * One client's API key: a random password kept as a version of a secret in Secrets Manager.
 *
 * It rotates with `pulumi up --replace URN`, {@link urnToReplace} being the URN: the new version becomes
 * AWSCURRENT and the one before it AWSPREVIOUS. A value that somebody puts into the secret by hand is what machines
 * follow until the next update, which says so and puts the declared key back as a new version.
 */
export class ApiKey extends pulumi.ComponentResource {
  readonly secretArn: pulumi.Output<string>;
  /** The version that holds the current key; it changes when the key rotates. */
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
        // A random suffix, so that a new stack of the same name need not wait for the deletion of the old one.
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
        // Declared, so that a value put by hand, which takes the label away, is a difference for an update to mend.
        versionStages: [CURRENT],
      },
      {
        parent: this,
        // By a new version, not by moving the label back: a machine counts the grace of the value put by hand from the
        // creation of the version that follows it.
        replaceOnChanges: ["versionStages"],
        // The provider's delete would take AWSPREVIOUS from the version, and with it the old key's grace. Secrets
        // Manager itself drops versions without a label.
        retainOnDelete: true,
      },
    );
  }

  /** In the preview, before the update mends it; where the key is to be replaced, it is not known and nothing is said. */
  private warnOfAnotherValue(
    client: string,
    secret: secretsmanager.Secret,
    key: pulumi.Output<string>,
  ): void {
    if (!pulumi.runtime.isDryRun()) {
      return;
    }
    pulumi.all([secret.arn, key]).apply(async ([secretId, declared]) => {
      // A secret without a value yet has nothing that could differ.
      const current = await secretsmanager
        .getSecretVersion({ secretId }, { parent: this, async: true })
        .catch(() => undefined);
      if (current && current.secretString !== declared) {
        await pulumi.log.warn(
          `client ${client}: the secret's current value, of ${current.createdDate}, is not the key that this stack declares: ` +
            "somebody put it there by hand, or a rotation was interrupted. Machines follow it. The update makes the " +
            "declared key current again as a new version; the other value works until keyGraceSeconds have passed. Where " +
            "the declared key is the one to be rid of, replace it in the same update: --replace with the output apiKeyUrn.",
          this,
        );
      }
    });
  }
}
