// Runs one instance of a function, as Lambda's Node.js runtime does: function.mjs FOLDER HANDLER.
// Each line on standard input is an event; each line on standard output is its result. Ends when the input ends.
import { Console } from "node:console";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const [folder, name] = process.argv.slice(2);
const [file, exported] = name.split(".");
// The folder is removed when the function is changed or deleted; this instance then ends.
setInterval(() => existsSync(folder) || process.exit(), 1000).unref();
// The function's console output is its log.
globalThis.console = new Console(process.stderr, process.stderr);
const module = await import(pathToFileURL(join(folder, `${file}.mjs`)).href);

for await (const line of createInterface({ input: process.stdin })) {
  const answer = await module[exported](JSON.parse(line)).then(
    (result) => ({ result: result ?? null }),
    ({ name: errorType, message: errorMessage, stack }) => {
      console.error(stack);
      return { error: { errorType, errorMessage } };
    },
  );
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
process.exit();
