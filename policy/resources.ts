import type { ReportViolation, ResourceValidationArgs, ResourceValidationPolicy } from "@pulumi/policy";

type Props = Record<string, unknown>;

/**
 * A policy for resources of some types. A property that is not known yet, in a preview, is undefined or Pulumi's
 * placeholder and is not checked: the update checks it.
 *
 * @param find returns the violations of one resource, one sentence each
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

/** The value as a list; no value is an empty list. */
export function list(value: unknown): Props[] {
  return Array.isArray(value) ? (value as Props[]) : value ? [value as Props] : [];
}

/** A nested property, or undefined. */
export function part(value: unknown, ...path: string[]): unknown {
  return path.reduce<unknown>(
    (inner, name) => (typeof inner === "object" && inner !== null ? (inner as Props)[name] : undefined),
    value,
  );
}

/** Whether the value is true. The provider accepts booleans as text in some places. */
export function isTrue(value: unknown): boolean {
  return value === true || value === "true";
}

/** Whether a text is known. In a preview, unknown values are Pulumi's placeholder. */
export function isKnown(value: unknown): value is string {
  return typeof value === "string" && value !== "04da6b54-80e4-46f7-96ec-b56ff0331ba9";
}
