/**
 * Tag of every resource of a stack that EC2 or Elastic Load Balancing can tag. Its value is the name of the service. The
 * deployer's policy (docs/reference/deployer-policy.json) grants changes only of resources that have it.
 */
export const STACK_TAG = "qwen3-embedding-stack";

/**
 * The tags of a resource.
 *
 * @param stack name of the service, with which the names of its resources begin
 * @param name of the resource; that of the service by default
 */
export function stackTags(stack: string, name = stack): Record<string, string> {
  return { Name: name, [STACK_TAG]: stack };
}
