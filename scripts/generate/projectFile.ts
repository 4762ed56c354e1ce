import { parseDocument, type YAMLMap } from "yaml";
import { SETTINGS } from "../../components/settings/table";

const HEADING = " The settings below are generated from components/settings/table.ts by `npm run generate`.";

/** Pulumi.yaml with the settings of the table. Everything else in it is kept. */
export function projectFile(written: string): string {
  const document = parseDocument(written);
  const config = document.get("config") as YAMLMap<{ value: string }>;
  config.items = config.items.filter(({ key }) => key.value.includes(":"));
  for (const [index, [name, setting]] of Object.entries(SETTINGS).entries()) {
    const key = document.createNode(name);
    if (index === 0) {
      key.commentBefore = HEADING;
    }
    const declaration = {
      type: setting.type,
      ...(setting.type === "array" && { items: { type: "string" } }),
      description: setting.description,
      default: setting.type === "string" ? String(setting.default) : setting.default,
    };
    config.items.push(document.createPair(key, declaration) as (typeof config.items)[number]);
  }
  return document.toString({ lineWidth: 0, flowCollectionPadding: false });
}
