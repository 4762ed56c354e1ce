import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { argsInterface } from "./args";
import { instanceSchema } from "./instanceSchema";
import { projectFile } from "./projectFile";
import { settingsPage } from "./settingsPage";

const ROOT = resolve(__dirname, "../..");

/** Every generated file, with the function that makes its text from the existing text. */
const FILES: Record<string, (written: string) => string> = {
  "Pulumi.yaml": projectFile,
  "components/settings/args.ts": () =>
    argsInterface("SettingsArgs", "The settings of a service, as they are written.", { words: true }),
  "components/plugin/args.ts": () =>
    argsInterface("EmbeddingServiceArgs", "Arguments of the packaged EmbeddingService.", { words: false }),
  "docs/reference/settings.md": settingsPage,
  "machine/qwen3/settings.schema.json": instanceSchema,
};

/** `npm run generate`, and `npm run generate -- --check`, which only lists stale files. */
function main(argv: string[]): void {
  const checking = argv.includes("--check");
  const stale = Object.entries(FILES).filter(([file, render]) => {
    const path = join(ROOT, file);
    const written = existsSync(path) ? readFileSync(path, "utf8") : "";
    const text = render(written);
    if (text !== written && !checking) {
      writeFileSync(path, text);
    }
    return text !== written;
  });
  for (const [file] of stale) {
    console.log(checking ? `${file} is stale: npm run generate` : `wrote ${file}`);
  }
  process.exitCode = checking && stale.length > 0 ? 1 : 0;
}

main(process.argv.slice(2));
