import type { EngineEvent, Stack } from "@pulumi/pulumi/automation";

/** A resource in an exported stack. */
export interface StateResource {
  urn: string;
  id: string;
  type: string;
  protect?: boolean;
  inputs: Record<string, unknown>;
  outputs: Record<string, unknown>;
}

/** The resources of a type, such as `Secret`. */
export async function resourcesOf(stack: Stack, type: string): Promise<StateResource[]> {
  const { deployment } = await stack.exportStack();
  return deployment.resources.filter((each: StateResource) => each.type.endsWith(`:${type}`));
}

/** `OPERATION TYPE` of every step of an update, in order, without those that changed nothing. */
export function steps(events: EngineEvent[]): string[] {
  return events
    .flatMap(({ resourcePreEvent }) => (resourcePreEvent ? [resourcePreEvent.metadata] : []))
    .filter(({ op }) => !["same", "read", "refresh"].includes(op))
    .map(({ op, type }) => `${op} ${type.split(":").at(-1)}`);
}

/** The same with the name of each resource. */
export function urnSteps(events: EngineEvent[]): string[] {
  return events
    .flatMap(({ resourcePreEvent }) => (resourcePreEvent ? [resourcePreEvent.metadata] : []))
    .filter(({ op }) => !["same", "read", "refresh"].includes(op))
    .map(({ op, type, urn }) => `${op} ${type.split(":").at(-1)} ${urn.split("::").at(-1)}`);
}
