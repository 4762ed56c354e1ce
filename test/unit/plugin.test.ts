import { join } from "node:path";
import { ComponentProvider } from "@pulumi/pulumi/provider/experimental";
import { beforeAll, describe, expect, it } from "vitest";
import { EmbeddingService } from "../../components/plugin";
import type { Setting } from "../../components/settings/kinds";
import { SETTINGS } from "../../components/settings/table";

const dirname = join(__dirname, "../../components/plugin");

interface Property {
  type: string;
  items?: { type: string };
  description: string;
}

interface Schema {
  name: string;
  resources: Record<
    string,
    {
      isComponent: boolean;
      inputProperties: Record<string, Property>;
      requiredInputs: string[];
      properties: Record<string, Property>;
    }
  >;
}

describe("the packaged component, by the SDK's own analyser", () => {
  const settings = Object.entries(SETTINGS as Record<string, Setting>).filter(([, { service }]) => service);
  let schema: Schema;

  beforeAll(async () => {
    const provider = new ComponentProvider({
      name: "qwen3-embedding",
      dirname,
      components: [EmbeddingService],
    });
    schema = JSON.parse(await provider.getSchema()) as Schema;
    // The analyser reads the types of the AWS provider.
  }, 60_000);

  const resource = () => schema.resources["qwen3-embedding:index:EmbeddingService"]!;

  it("has one component", () => {
    expect(Object.keys(schema.resources)).toEqual(["qwen3-embedding:index:EmbeddingService"]);
    expect(resource().isComponent).toBe(true);
  });

  it("has exactly the settings of the service, typed and described as in the table", () => {
    const number = ({ type, json }: Setting) => type === "integer" || json.type === "number";
    const expected = settings.map(([name, setting]) => [
      name,
      expect.objectContaining({
        type: number(setting) ? "number" : setting.type,
        description: expect.stringContaining(setting.description),
        ...(setting.type === "array" && { items: expect.objectContaining({ type: "string" }) }),
      }),
    ]);
    expect(resource().inputProperties).toEqual(Object.fromEntries(expected));
  });

  it("requires only the settings without a default", () => {
    expect(resource().requiredInputs).toEqual(["allowedCidrs"]);
  });

  it("returns the outputs of the stack", () => {
    expect(Object.keys(resource().properties).sort()).toEqual([
      ...["apiKeyUrn", "apiKeyUrns", "autoScalingGroup", "caCertificate", "dimensions", "endpoint"],
      ...["imageId", "imageUrn", "instanceId", "model", "region", "secretArn", "secretArns"],
    ]);
  });
});
