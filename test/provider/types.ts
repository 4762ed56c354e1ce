import { resourceClass } from "./packages";
import { namesOf, type ProviderSchema, schemaName, snake } from "./schema";

/**
 * The Terraform type of a Pulumi type of `@pulumi/aws`, which has no such table. By name if the schema has it, with or
 * without the module: `aws:ec2/vpc:Vpc` is aws_vpc, `aws:iam/role:Role` aws_iam_role. Otherwise the type whose
 * attributes match the class's properties best, and among equals the one whose name matches best:
 * `aws:s3/bucketObjectv2:BucketObjectv2` is aws_s3_object, `aws:lb/loadBalancer:LoadBalancer` aws_lb.
 *
 * @throws Error if the best type shares too few of the properties to be correct.
 */
export function terraformType(token: string, schema: ProviderSchema): string {
  const found = resourceClass(token);
  if (!found) {
    throw new Error(`@pulumi/aws has no ${token}`);
  }
  const [, module = "", name = ""] = token.split(":");
  const named = [`aws_${module.split("/")[0]}_${snake(name)}`, `aws_${snake(name)}`].filter(
    (type) => type in schema.resource_schemas,
  );
  const scored = (named.length > 0 ? named : Object.keys(schema.resource_schemas))
    .map((type) => ({
      type,
      fit: overlap(found.properties, namesOf(schema.resource_schemas[type]!.block)),
      words: commonWords(type, token),
    }))
    .sort((a, b) => b.fit - a.fit || b.words - a.words);
  const best = scored[0];
  if (!best || best.fit < LEAST_FIT) {
    throw new Error(`no type of the provider's schema has the properties of ${token}`);
  }
  return best.type;
}

/** Two versions of a small type share fewer properties than two of a large one. */
const LEAST_FIT = 0.4;

/**
 * The data source of a function such as `aws:ssm/getParameter:getParameter`, by name.
 *
 * @throws Error if the schema has none by that name.
 */
export function dataSource(token: string, schema: ProviderSchema): string {
  const [, module = "", name = ""] = token.split(":");
  const noun = snake(name.replace(/^get/, ""));
  const wanted = [`aws_${module.split("/")[0]}_${noun}`, `aws_${noun}`];
  const found = wanted.find((type) => type in schema.data_source_schemas);
  if (!found) {
    throw new Error(`the provider's schema has no data source for ${token}: neither ${wanted.join(" nor ")}`);
  }
  return found;
}

/** Jaccard's index of properties and attributes, 0 to 1. `region` is in every class since 7 and in no type before 6. */
function overlap(properties: string[], attributes: string[]): number {
  const mine = properties.filter((property) => property !== "region");
  const theirs = attributes.filter((name) => name !== "id");
  const shared = mine.filter((property) => schemaName(property, theirs) !== undefined).length;
  return shared / (mine.length + theirs.length - shared);
}

/** Fraction of words that the two names have in common, 0 to 1. */
function commonWords(type: string, token: string): number {
  const [, module = "", name = ""] = token.split(":");
  const theirs = type.replace(/^aws_/, "").split("_");
  const mine = [...snake(module.split("/")[0]!).split("_"), ...snake(name).split("_")];
  return theirs.filter((word) => mine.includes(word)).length / new Set([...theirs, ...mine]).size;
}
