import { describe, expect, it } from "vitest";
import type { Recording, Resource } from "../provider/record";
import { Tokens } from "../provider/references";
import { type ProviderSchema, schemaName } from "../provider/schema";
import { translate } from "../provider/translate";

const SCHEMA: ProviderSchema = {
  resource_schemas: {
    aws_thing: {
      block: {
        attributes: {
          name: { type: "string", optional: true },
          subnet_ids: { type: ["set", "string"], optional: true },
          user_data: { type: "string", optional: true },
          tags: { type: ["map", "string"], optional: true },
          rules: {
            type: ["list", ["object", { from_port: "number", note: "string" }]],
            optional: true,
          },
          arn: { type: "string", computed: true },
        },
        block_types: {
          metadata_options: {
            nesting_mode: "list",
            max_items: 1,
            block: { attributes: { http_tokens: { type: "string" } } },
          },
          policy: { nesting_mode: "set", block: { attributes: { action_name: { type: "string" } } } },
        },
      },
    },
  },
  data_source_schemas: {},
};

/** A recording of these resources, in order. */
function recording(...things: Partial<Resource>[]): Recording {
  return {
    lookups: [],
    resources: things.map((thing, index) => ({
      kind: "resource",
      urn: `urn:${index}`,
      token: "aws:thing/thing:Thing",
      type: "aws_thing",
      name: `thing-${index}`,
      inputs: {},
      references: [],
      dependencies: [],
      ignoreChanges: [],
      ...thing,
    })),
  };
}

const translated = (...things: Partial<Resource>[]) => translate(recording(...things), SCHEMA);

describe("translate", () => {
  it("takes names, blocks and lists from the schema, and does not change the keys of maps", () => {
    const inputs = {
      subnetIds: ["a"],
      metadataOptions: { httpTokens: "required" },
      policies: [{ actionName: "one" }, { actionName: "two" }],
      rules: [{ fromPort: 443 }],
      tags: { camelKey: "kept" },
    };
    expect(translated({ inputs }).resource.aws_thing!["thing-0"]).toMatchObject({
      subnet_ids: ["a"],
      metadata_options: [{ http_tokens: "required" }],
      policy: [{ action_name: "one" }, { action_name: "two" }],
      rules: [{ from_port: 443, note: null }],
      tags: { camelKey: "kept" },
    });
  });

  it("rejects a property that the schema does not have, with its name", () => {
    expect(() => translated({ inputs: { userDatum: "x" } })).toThrow(
      /aws:thing\/thing:Thing thing-0: the provider's schema has no userDatum/,
    );
    expect(() => translated({ inputs: { metadataOptions: { httpToken: "x" } } })).toThrow(/no httpToken/);
  });

  it("turns tokens into references, within text and within base64, and escapes a text's own dollars", () => {
    const tokens = new Tokens("first", "s3");
    const arn = tokens.make("aws_thing.thing-0.arn");
    const document = `export HOME="\${HOME}"\nBUCKET=${arn}/*`;
    const { resource } = translated(
      { references: tokens.references },
      {
        inputs: {
          name: `to ${arn}, \${not} %{this}`,
          userData: Buffer.from(document).toString("base64"),
        },
        dependencies: ["urn:0"],
      },
    );
    expect(resource.aws_thing!["thing-1"]).toMatchObject({
      // biome-ignore lint/suspicious/noTemplateCurlyInString: Terraform's syntax
      name: "to ${aws_thing.thing-0.arn}, $${not} %%{this}",
      user_data:
        // biome-ignore lint/suspicious/noTemplateCurlyInString: Terraform's syntax
        '${base64encode("export HOME=\\"$${HOME}\\"\\nBUCKET=${aws_thing.thing-0.arn}/*")}',
      depends_on: ["aws_thing.thing-0"],
    });
  });

  it("gives a token for an ARN the format of an ARN, so that the program can parse it", () => {
    const arn = new Tokens("first", "s3").make("aws_thing.thing-0.arn");
    expect(arn.split(":").slice(0, 3)).toEqual(["arn", "aws", "s3"]);
  });

  it("replaces dependencies on other providers' resources with their dependencies", () => {
    const { resource, variable } = translated(
      {},
      {
        type: undefined,
        token: "random:index/randomPassword:RandomPassword",
        references: [{ token: "zz000000000000zz0zz", expression: "var.password" }],
        dependencies: ["urn:0"],
      },
      { inputs: { name: "zz000000000000zz0zz" }, dependencies: ["urn:1"], ignoreChanges: ["userData"] },
    );
    expect(resource.aws_thing!["thing-2"]).toMatchObject({
      // biome-ignore lint/suspicious/noTemplateCurlyInString: Terraform's syntax
      name: "${var.password}",
      depends_on: ["aws_thing.thing-0"],
      lifecycle: { create_before_destroy: true, ignore_changes: ["user_data"] },
    });
    expect(variable.password).toMatchObject({ sensitive: true });
  });
});

describe("schemaName", () => {
  it.each([
    ["vpcSecurityGroupIds", ["vpc_security_group_ids"], "vpc_security_group_ids"],
    ["ebsBlockDevices", ["ebs_block_device", "ebs_optimized"], "ebs_block_device"],
    ["policies", ["policy"], "policy"],
    ["aliases", ["alias"], "alias"],
    ["nothing", ["name"], undefined],
  ])("finds %s among %j", (property, names, found) => {
    expect(schemaName(property, names)).toBe(found);
  });
});
