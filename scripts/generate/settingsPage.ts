import type { Setting } from "../../components/settings/kinds";
import { SETTINGS } from "../../components/settings/table";

const INTRODUCTION = `# Settings

<!-- Generated from components/settings/table.ts by \`npm run generate\`. -->

Set a value with \`npx pulumi config set NAME VALUE -s STACK\`, and write a list in \`Pulumi.STACK.yaml\`:

\`\`\`yaml
config:
  qwen3-embedding-stack:instanceType: g6e.xlarge
  qwen3-embedding-stack:clients:
    - default
    - search
\`\`\`

The program checks every setting before it creates anything, and reports all errors together: the name of the setting, its
value and what is allowed. A name that does not exist is an error too. The region is \`aws:region\`.

Programs that use the component take the same names as arguments; those marked *stack* belong to this stack's program.
`;

/** docs/reference/settings.md */
export function settingsPage(): string {
  const groups = new Map<string, [string, Setting][]>();
  for (const entry of Object.entries(SETTINGS) as [string, Setting][]) {
    groups.set(entry[1].group, [...(groups.get(entry[1].group) ?? []), entry]);
  }
  const sections = [...groups].map(
    ([group, settings]) =>
      `## ${group}\n\n| setting | default | what it does | allowed |\n|---|---|---|---|\n${settings.map(row).join("\n")}\n`,
  );
  return `${INTRODUCTION}\n${sections.join("\n")}`;
}

function row([name, setting]: [string, Setting]): string {
  const stack = setting.service ? "" : " (*stack*)";
  return `| \`${name}\`${stack} | ${defaultOf(setting)} | ${cell(setting.description)} | ${cell(setting.allowed)} |`;
}

function defaultOf({ required, default: value }: Setting): string {
  if (required) {
    return "none: set it";
  }
  return value === "" ? "not set" : `\`${Array.isArray(value) ? JSON.stringify(value) : String(value)}\``;
}

function cell(text: string): string {
  return text.replaceAll("|", "\\|");
}
