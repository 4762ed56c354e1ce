/** The output of `terraform providers schema -json`, in the parts that are used here. */
export interface ProviderSchema {
  resource_schemas: Record<string, { block: Block }>;
  data_source_schemas: Record<string, { block: Block }>;
}

export interface Block {
  attributes?: Record<string, Attribute>;
  block_types?: Record<string, NestedBlock>;
}

export interface Attribute {
  type?: AttributeType;
  nested_type?: { attributes: Record<string, Attribute>; nesting_mode: Nesting };
  required?: boolean;
  optional?: boolean;
  computed?: boolean;
}

export interface NestedBlock {
  block: Block;
  nesting_mode: Nesting;
  max_items?: number;
}

export type Nesting = "single" | "list" | "set" | "map";
export type AttributeType =
  | "string"
  | "number"
  | "bool"
  | "dynamic"
  | ["list" | "set" | "map", AttributeType]
  | ["object", Record<string, AttributeType>];

/**
 * The name in the schema for a property of Pulumi: Pulumi's camel case is snake case in the schema, and Pulumi's names
 * of lists are plural. Undefined if the schema has no such property.
 */
export function schemaName(property: string, known: Iterable<string>): string | undefined {
  const names = [...known];
  return (
    names.find((name) => camel(name) === property) ??
    names.find((name) => plural(camel(name), property)) ??
    // Pulumi's own name for it.
    names.find((name) => name === "alarm_name" && property === "name")
  );
}

/** The name in Pulumi's bridge: `vpc_id` is `vpcId`. */
export function camel(name: string): string {
  return name.replace(/_+([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
}

/** `VpcEndpoint` is `vpc_endpoint`. */
export function snake(name: string): string {
  return name
    .replace(/([a-z0-9])([A-Z])/g, "$1_$2")
    .replace(/([A-Z])([A-Z][a-z])/g, "$1_$2")
    .toLowerCase();
}

function plural(singular: string, property: string): boolean {
  return [
    `${singular}s`,
    `${singular}es`,
    singular.replace(/y$/, "ies"),
    singular.replace(/is$/, "es"),
  ].includes(property);
}

/** Names of a block's attributes and nested blocks. */
export function namesOf(block: Block): string[] {
  return [...Object.keys(block.attributes ?? {}), ...Object.keys(block.block_types ?? {})];
}
