import type { ReportViolation, ResourceValidationArgs, ResourceValidationPolicy } from "@pulumi/policy";

type Props = Record<string, unknown>;

/**
 * A policy over the resources of some types. A property that is not known yet, in a preview, is undefined or Pulumi's
 * marker and is not judged: the update judges it.
 *
 * @param find returns what is wrong with one resource, one sentence each
 */
export function resourcePolicy(
  name: string,
  description: string,
  types: readonly string[],
  find: (props: Props, args: ResourceValidationArgs) => string[],
): ResourceValidationPolicy {
  return {
    name,
    description,
    enforcementLevel: "mandatory",
    validateResource: (args: ResourceValidationArgs, report: ReportViolation) => {
      if (types.includes(args.type)) {
        for (const problem of find(args.props, args)) {
          report(problem);
        }
      }
    },
  };
}

/** The value as a list: nothing is an empty one. */
export function list(value: unknown): Props[] {
  return Array.isArray(value) ? (value as Props[]) : value ? [value as Props] : [];
}

/** A part of a property, or undefined. */
export function part(value: unknown, ...path: string[]): unknown {
  return path.reduce<unknown>(
    (inner, name) => (typeof inner === "object" && inner !== null ? (inner as Props)[name] : undefined),
    value,
  );
}

/** Whether the value says yes; the provider takes booleans as text in some places. */
export function isTrue(value: unknown): boolean {
  return value === true || value === "true";
}

/** Whether a text is known; in a preview, Pulumi's marker stands for what is not. */
export function isKnown(value: unknown): value is string {
  return typeof value === "string" && value !== "04da6b54-80e4-46f7-96ec-b56ff0331ba9";
}
