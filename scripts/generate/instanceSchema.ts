import type { Setting } from "../../components/settings/kinds";
import { SETTINGS } from "../../components/settings/table";

/**
 * JSON Schema of the variables in /etc/qwen3/embed.env, with which an instance checks this file. `allowed` is the text
 * of errors.
 */
export function instanceSchema(): string {
  const told = (Object.values(SETTINGS) as Setting[]).flatMap((setting) =>
    setting.variable === undefined
      ? []
      : [[setting.variable, { ...setting.json, default: setting.default, allowed: setting.allowed }]],
  );
  const schema = {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    $comment: "Generated from components/settings/table.ts by `npm run generate`.",
    type: "object",
    properties: Object.fromEntries(told),
  };
  return `${JSON.stringify(schema, null, 2)}\n`;
}
