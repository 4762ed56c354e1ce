/** Access to AWS as the deployer. */
export interface AwsAccess {
  region: string;
  /** Variables with credentials and AWS_ENDPOINT_URL. */
  env: NodeJS.ProcessEnv;
  /** The stack's setting `awsEndpointUrl`. */
  endpointUrl?: string;
  /** The stack's setting `aws:profile`. */
  profile?: string;
}

/** The common part of every AWS client's configuration. */
export function awsClientConfig({ region, env, endpointUrl, profile }: AwsAccess) {
  const { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey } = env;
  const endpoint = env.AWS_ENDPOINT_URL || endpointUrl;
  return {
    region,
    ...(endpoint && { endpoint }),
    // Pulumi's provider prefers a configured profile, then the environment's keys, even if AWS_PROFILE is set.
    ...(profile
      ? { profile }
      : accessKeyId &&
        secretAccessKey && {
          credentials: { accessKeyId, secretAccessKey, sessionToken: env.AWS_SESSION_TOKEN },
        }),
  };
}
