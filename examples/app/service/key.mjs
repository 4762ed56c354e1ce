import { GetSecretValueCommand, SecretsManagerClient } from "@aws-sdk/client-secrets-manager";

const secrets = new SecretsManagerClient();

/**
 * The client's current key, read with the function's own role.
 *
 * @returns {Promise<string>}
 */
export async function readKey() {
  const { SecretString: key } = await secrets.send(
    new GetSecretValueCommand({ SecretId: process.env.EMBEDDING_SECRET_ARN }),
  );
  if (!key) {
    throw new Error("the secret has no text");
  }
  return key;
}
