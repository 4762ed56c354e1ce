import * as secretsmanager from "@pulumi/aws/secretsmanager";
import * as pulumi from "@pulumi/pulumi";
import * as random from "@pulumi/random";

/** What every key begins with, so that a secret scanner can match `qwen3_[0-9A-Za-z]{48}`. */
export const KEY_PREFIX = "qwen3_";

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
 * AWSCURRENT and the one before it AWSPREVIOUS.
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
    const version = new secretsmanager.SecretVersion(
      name,
      { secretId: secret.id, secretString: pulumi.interpolate`${KEY_PREFIX}${password.result}` },
      { parent: this },
    );
    this.secretArn = secret.arn;
    this.versionId = version.versionId;
    this.urnToReplace = password.urn;
    this.registerOutputs({
      secretArn: this.secretArn,
      versionId: this.versionId,
      urnToReplace: this.urnToReplace,
    });
  }
}
