import type { Recording, Resource } from "./record";
import { localName } from "./recorded";
import { withReferences } from "./references";
import {
  type Attribute,
  type AttributeType,
  type Block,
  type NestedBlock,
  type ProviderSchema,
  schemaName,
} from "./schema";

/** A configuration in Terraform's JSON syntax. */
export interface Configuration {
  variable: Record<string, object>;
  resource: Record<string, Record<string, Record<string, unknown>>>;
  data: Record<string, Record<string, Record<string, unknown>>>;
}

/**
 * Terraform's configuration for a recording. Names, and whether something is a block or an attribute, are from the
 * schema. Order, replacement before deletion and ignored changes are from the engine. Outputs of other providers
 * (random, tls) are variables.
 *
 * @throws Error if a property is not in the schema.
 */
export function translate(recording: Recording, schema: ProviderSchema): Configuration {
  const references = new Map(
    [...recording.resources, ...recording.lookups].flatMap((each) =>
      each.references.map(({ token, expression }) => [token, expression] as const),
    ),
  );
  const byUrn = new Map(recording.resources.map((resource) => [resource.urn, resource]));
  return {
    variable: variables(references.values()),
    resource: byType(
      recording.resources
        .filter((resource): resource is Resource & { type: string } => resource.type !== undefined)
        .map((resource) => ({
          type: resource.type,
          name: localName(resource.name),
          body: resourceBody(resource, schema.resource_schemas[resource.type]!.block, references, byUrn),
        })),
    ),
    data: byType(
      recording.lookups.map(({ token, type, name, args }) => ({
        type,
        name,
        body: new Translator(references, token).block(args, schema.data_source_schemas[type]!.block),
      })),
    ),
  };
}

function variables(expressions: Iterable<string>): Configuration["variable"] {
  const names = [...expressions].filter((each) => each.startsWith("var.")).map((each) => each.slice(4));
  return Object.fromEntries(
    names.map((name) => [name, { type: "string", sensitive: true, default: `value of ${name}` }]),
  );
}

function byType(blocks: { type: string; name: string; body: Record<string, unknown> }[]) {
  const result: Configuration["resource"] = {};
  for (const { type, name, body } of blocks) {
    if (result[type]?.[name]) {
      throw new Error(`two blocks would be ${type}.${name}`);
    }
    result[type] = { ...result[type], [name]: body };
  }
  return result;
}

function resourceBody(
  resource: Resource,
  block: Block,
  references: Map<string, string>,
  byUrn: Map<string, Resource>,
): Record<string, unknown> {
  const ignored = resource.ignoreChanges.map((name) => schemaNameOrThrow(name, block, resource.token));
  return {
    ...new Translator(references, `${resource.token} ${resource.name}`).block(resource.inputs, block),
    lifecycle: {
      create_before_destroy: true,
      ...(ignored.length > 0 && { ignore_changes: ignored }),
    },
    depends_on: [...terraformDependencies(resource, byUrn)].sort(),
  };
}

/** Addresses of a resource's dependencies. Resources of other providers are replaced by their dependencies. */
function terraformDependencies(
  resource: Resource,
  byUrn: Map<string, Resource>,
  seen = new Set<string>(),
): Set<string> {
  const found = new Set<string>();
  for (const urn of resource.dependencies.filter((each) => !seen.has(each))) {
    seen.add(urn);
    const before = byUrn.get(urn);
    if (before?.type) {
      found.add(`${before.type}.${localName(before.name)}`);
    } else if (before) {
      for (const address of terraformDependencies(before, byUrn, seen)) {
        found.add(address);
      }
    }
  }
  return found;
}

function schemaNameOrThrow(property: string, block: Block, where: string): string {
  const name = schemaName(property, [
    ...Object.keys(block.attributes ?? {}),
    ...Object.keys(block.block_types ?? {}),
  ]);
  if (!name) {
    throw new Error(`${where}: the provider's schema has no ${property}`);
  }
  return name;
}

/** Translates the inputs of one resource. */
class Translator {
  constructor(
    private readonly references: Map<string, string>,
    private readonly where: string,
  ) {}

  block(inputs: object, block: Block): Record<string, unknown> {
    return Object.fromEntries(
      Object.entries(inputs)
        .filter(([, value]) => value !== null && value !== undefined)
        .map(([property, value]) => {
          const name = schemaNameOrThrow(property, block, this.where);
          const attribute = block.attributes?.[name];
          return [
            name,
            attribute
              ? this.attribute(value, attribute)
              : this.nested(value, block.block_types![name]!, `${this.where}.${property}`),
          ];
        }),
    );
  }

  /** Pulumi writes a block that can occur at most once as an object. */
  private nested(value: unknown, { block, nesting_mode }: NestedBlock, where: string): unknown {
    const inner = new Translator(this.references, where);
    if (nesting_mode === "list" || nesting_mode === "set") {
      return asList(value).map((item) => inner.block(item as object, block));
    }
    return inner.block(value as object, block);
  }

  private attribute(value: unknown, { type, nested_type }: Attribute): unknown {
    if (!nested_type) {
      return this.value(value, type ?? "dynamic");
    }
    const { attributes, nesting_mode } = nested_type;
    return nesting_mode === "single"
      ? this.block(value as object, { attributes })
      : asList(value).map((item) => this.block(item as object, { attributes }));
  }

  private value(value: unknown, type: AttributeType): unknown {
    if (typeof type === "string") {
      return this.plain(value);
    }
    switch (type[0]) {
      case "list":
      case "set":
        return asList(value).map((item) => this.value(item, type[1]));
      case "map":
        return Object.fromEntries(
          Object.entries(value as object).map(([key, item]) => [key, this.value(item, type[1])]),
        );
      case "object":
        return this.object(value as Record<string, unknown>, type[1]);
    }
  }

  /** An object attribute has all of its parts; parts that are not set are null. */
  private object(value: Record<string, unknown>, types: Record<string, AttributeType>): unknown {
    const given = Object.fromEntries(
      Object.entries(value).map(([property, item]) => {
        const name = schemaName(property, Object.keys(types));
        if (!name) {
          throw new Error(`${this.where}: the provider's schema has no ${property}`);
        }
        return [name, this.value(item, types[name]!)];
      }),
    );
    return Object.fromEntries(Object.keys(types).map((name) => [name, given[name] ?? null]));
  }

  private plain(value: unknown): unknown {
    if (typeof value === "string") {
      return withReferences(value, this.references);
    }
    const asset = (value as { asset?: { path?: string; text?: string } } | null)?.asset;
    if (asset) {
      return asset.path ?? withReferences(asset.text ?? "", this.references);
    }
    if (typeof value === "object") {
      throw new Error(`${this.where}: ${JSON.stringify(value)} but the provider requires a plain value`);
    }
    return value;
  }
}

function asList(value: unknown): unknown[] {
  return Array.isArray(value) ? value : [value];
}
