import { createHash } from "node:crypto";
import { appendFileSync, readFileSync } from "node:fs";
import {
  autoname,
  InputError,
  type Props,
  type ProviderDefinition,
  serve,
} from "../../local/fakes/framework";
import type { Given } from "./emulator";
import { resourceClass } from "./packages";
import { localName, type Recorded } from "./recorded";
import { computedValues, Tokens } from "./references";
import type { ProviderSchema } from "./schema";
import { dataSource, terraformType } from "./types";

/**
 * `recorder.ts NAME [ENGINE]`: a provider that creates nothing. It writes the engine's requests to RECORD, one JSON
 * object per line, and returns tokens for values that the provider would compute. SCHEMA is the AWS provider's schema.
 */

const provider = process.argv[2] ?? "";
const schema = JSON.parse(readFileSync(required("QWEN3_SCHEMA"), "utf8")) as ProviderSchema;
const given = JSON.parse(required("QWEN3_GIVEN")) as Given;

const definition: ProviderDefinition = {
  name: provider,
  version: "0.0.0",
  configInputs: ["region", "skipCredentialsValidation", "skipRegionValidation", "profile"],
  // Any type that the package has, looked up on demand.
  resources: onDemand((token) => {
    const found = resourceClass(token);
    return (
      found && {
        inputs: found.inputs,
        check: (inputs, context) =>
          namedByPulumi(token, inputs) ? autoname(inputs, "name", context) : inputs,
        create: async (inputs, { urn, name }) => recordResource(token, urn, name, inputs, found.properties),
      }
    );
  }),
  invokes: onDemand((token) => async (args: Props) => recordLookup(token, args)),
};

function recordResource(token: string, urn: string, name: string, inputs: Props, properties: string[]) {
  if (JSON.stringify(inputs).includes("undefined")) {
    throw new Error(`${urn} has an input that contains "undefined": a result of a look-up is missing`);
  }
  const { type, outputs, id, references } =
    provider === "aws" ? awsOutputs(token, urn, name) : variables(urn, properties, inputs);
  record({ kind: "resource", urn, token, name, type, inputs, references });
  return { id, outputs: { ...outputs, ...inputs } };
}

function awsOutputs(token: string, urn: string, name: string) {
  const type = terraformType(token, schema);
  const tokens = new Tokens(urn, token.split(/[:/]/)[1]);
  const address = `${type}.${localName(name)}`;
  const { id, ...outputs } = computedValues(schema.resource_schemas[type]!.block, address, tokens);
  return { type, outputs, id: String(id ?? tokens.make(`${address}.id`)), references: tokens.references };
}

/** Values that another provider computes are variables in Terraform. */
function variables(urn: string, properties: string[], inputs: Props) {
  const tokens = new Tokens(urn);
  const subject = localName(urn.split("::").slice(2).join("_").split("$").pop()!);
  const outputs = Object.fromEntries(
    properties
      .filter((property) => !(property in inputs))
      .map((property) => [property, tokens.make(`var.${subject}_${property}`)]),
  );
  return { type: undefined, outputs, id: urn, references: tokens.references };
}

/** Results that determine what the program creates. All others are tokens. */
const ANSWERS: Record<string, (args: Props) => Props> = {
  "aws:index/getRegion:getRegion": () => ({ region: given.region }),
  "aws:ec2/getInstanceTypeOfferings:getInstanceTypeOfferings": () => ({
    locations: Object.keys(given.subnets).slice(0, 2),
  }),
  "aws:s3/getObject:getObject": () => ({ body: "" }),
  "aws:ec2/getSubnet:getSubnet": ({ id }) => ({
    vpcId: given.vpcId,
    availabilityZone: Object.entries(given.subnets).find(([, subnet]) => subnet === id)?.[0],
  }),
  "aws:ec2/getVpc:getVpc": () => ({ cidrBlockAssociations: [{ cidrBlock: given.cidrBlock }] }),
  // The VPC's subnets have no route tables of their own.
  "aws:ec2/getRouteTables:getRouteTables": ({ filters }) => ({
    ids: JSON.stringify(filters).includes("association.main") ? [given.routeTableId] : [],
  }),
  "aws:route53/getZone:getZone": ({ name }) => {
    if (name !== given.domain) {
      throw new InputError("name", "no matching Route 53 Hosted Zone found");
    }
    return {};
  },
};

function recordLookup(token: string, args: Props): Props {
  const answer = ANSWERS[token]?.(args);
  const type = dataSource(token, schema);
  const owner = `${token} ${JSON.stringify(args)}`;
  const tokens = new Tokens(owner);
  const name = `lookup_${createHash("sha256").update(owner).digest("hex").slice(0, 8)}`;
  const computed = computedValues(schema.data_source_schemas[type]!.block, `data.${type}.${name}`, tokens);
  record({ kind: "lookup", token, type, name, args, references: tokens.references });
  return { ...computed, ...args, ...answer };
}

/** The rule of Pulumi's Terraform bridge (SetAutonaming): an input `name` that is not set, without a prefix for it. */
function namedByPulumi(token: string, inputs: Props): boolean {
  if (provider !== "aws" || "name" in inputs || "namePrefix" in inputs) {
    return false;
  }
  const attributes = schema.resource_schemas[terraformType(token, schema)]?.block.attributes;
  const name = attributes?.name ?? attributes?.alarm_name;
  return name?.type === "string" && (name.optional === true || name.required === true);
}

function record(line: Recorded): void {
  appendFileSync(required("QWEN3_RECORD"), `${JSON.stringify(line)}\n`);
}

function required(name: string): string {
  const value = process.env[name];
  if (!value) {
    throw new Error(`${name} is not set`);
  }
  return value;
}

/** A table whose entries are created when they are read. */
function onDemand<T>(make: (key: string) => T | undefined): Record<string, T> {
  const made: Record<string, T | undefined> = {};
  const get = (key: string) => {
    if (!(key in made)) {
      made[key] = make(key);
    }
    return made[key];
  };
  return new Proxy({} as Record<string, T>, {
    get: (_, key) => (typeof key === "string" ? get(key) : undefined),
    getOwnPropertyDescriptor: (_, key) => {
      const value = typeof key === "string" ? get(key) : undefined;
      return value && { value, configurable: true, enumerable: true, writable: true };
    },
  });
}

serve(definition).catch((error: unknown) => {
  console.error(error);
  process.exit(1);
});
