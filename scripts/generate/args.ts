import type { Setting } from "../../components/settings/kinds";
import { SETTINGS, type SettingName } from "../../components/settings/table";

const HEADER = "// Generated from components/settings/table.ts by `npm run generate`.\n";

/**
 * A TypeScript interface with a documented property for each setting of the service.
 *
 * @param words whether a choice is a union of its words; the SDK's component analyser does not accept unions
 */
export function argsInterface(name: string, documentation: string, { words }: { words: boolean }): string {
  const properties = (Object.entries(SETTINGS) as [SettingName, Setting][])
    .filter(([, setting]) => setting.service)
    .map(([property, setting]) => {
      const lines = [setting.description, `Allowed: ${setting.allowed}.`];
      if (!setting.required) {
        lines.push(`Default: ${defaultOf(setting)}.`);
      }
      const comment = lines.map((line) => `   * ${line}`).join("\n");
      return `  /**\n${comment}\n   */\n  ${property}${setting.required ? "" : "?"}: ${typeOf(setting, words)};`;
    });
  return `${HEADER}\n/** ${documentation} */\nexport interface ${name} {\n${properties.join("\n")}\n}\n`;
}

function defaultOf({ default: value }: Setting): string {
  return value === ""
    ? "not set"
    : Array.isArray(value)
      ? `\`${JSON.stringify(value)}\``
      : `\`${String(value)}\``;
}

function typeOf({ type, json }: Setting, words: boolean): string {
  if (words && Array.isArray(json.enum)) {
    return json.enum.map((word) => JSON.stringify(word)).join(" | ");
  }
  if (json.type === "number" || type === "integer") {
    return "number";
  }
  return { string: "string", boolean: "boolean", array: "string[]" }[type];
}
