import { SETTINGS } from "./table";

/**
 * A setting from its text: Pulumi's configuration values are text, also those that it writes to Pulumi.STACK.yaml.
 * Strings are kept; other types are parsed as JSON, or left for the check to report.
 */
export function fromText(name: string, text: string | undefined): unknown {
  const setting = Object.hasOwn(SETTINGS, name) ? SETTINGS[name as keyof typeof SETTINGS] : undefined;
  if (text === undefined || (setting?.type === "string" && setting.json.type !== "number")) {
    return text;
  }
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
