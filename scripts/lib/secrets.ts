import { GetSecretValueCommand, SecretsManagerClient } from "@aws-sdk/client-secrets-manager";
import { type AwsAccess, awsClientConfig } from "./aws";

/**
 * Reads a client's key from Secrets Manager: the current key, or the one with another label.
 *
 * @throws Error that names the missing permission or step.
 */
export async function readKey(secretArn: string, access: AwsAccess, stage?: string): Promise<string> {
  const client = new SecretsManagerClient(awsClientConfig(access));
  try {
    const { SecretString: key } = await client.send(
      new GetSecretValueCommand({ SecretId: secretArn, VersionStage: stage }),
    );
    if (!key) {
      throw new Error(`the secret ${secretArn} has no text: replace the key with npx pulumi up --replace`);
    }
    return key;
  } catch (error) {
    throw explain(error as Error & { code?: string }, secretArn, access);
  } finally {
    client.destroy();
  }
}

function explain(error: Error & { code?: string }, arn: string, access: AwsAccess): Error {
  const { endpoint } = awsClientConfig(access);
  if (endpoint && error.code === "ECONNREFUSED") {
    return new Error(`nothing listens for AWS at ${endpoint}: for the local environment, run npm start`);
  }
  switch (error.name) {
    case "AccessDeniedException":
    case "AccessDenied":
      return new Error(
        `not allowed to read ${arn}: these credentials need secretsmanager:GetSecretValue on it, ` +
          "and kms:Decrypt if the secret has its own KMS key",
      );
    case "ResourceNotFoundException":
      return new Error(`there is no secret ${arn}: run npx pulumi refresh, then npx pulumi up`);
    case "InvalidRequestException":
      return new Error(`the secret ${arn} can't be read, it may be scheduled for deletion: ${error.message}`);
    case "CredentialsProviderError":
      return new Error(`no AWS credentials to read ${arn} with: sign in as for pulumi up (${error.message})`);
    case "ExpiredTokenException":
    case "ExpiredToken":
    case "UnrecognizedClientException":
    case "InvalidClientTokenId":
      return new Error(`AWS rejects these credentials (${error.name}): sign in again`);
    default:
      return new Error(`the secret ${arn} can't be read: ${error.message || error.name}`);
  }
}
