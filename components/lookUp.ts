import * as pulumi from "@pulumi/pulumi";

/**
 * The result of a look-up in AWS.
 *
 * @param what what was looked up, for the error
 * @throws pulumi.RunError that says what to do if AWS cannot be reached: no credentials, no region, no permission.
 */
export async function lookUp<T>(what: string, call: Promise<T>): Promise<T> {
  try {
    return await call;
  } catch (error) {
    const reason = (error as Error).message;
    throw new pulumi.RunError(
      `The look-up of ${what} failed. Nothing was changed. ${advice(reason)} The provider returned: ${reason}`,
    );
  }
}

function advice(reason: string): string {
  if (/credential|ExpiredToken|InvalidClientTokenId|security token|SSO/i.test(reason)) {
    return "Sign in first, for example with `aws sso login`, and set aws:profile or AWS_PROFILE.";
  }
  if (/region/i.test(reason)) {
    return "Set the region with `pulumi config set aws:region REGION`.";
  }
  if (/AccessDenied|UnauthorizedOperation|not authorized/i.test(reason)) {
    return "The permissions of the deployer are listed in docs/reference/deployer-policy.json.";
  }
  return "Check the connection to AWS and try again.";
}
