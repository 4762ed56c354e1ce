// An instance of a function, as Lambda's runtime for Node runs one: function.mjs FOLDER HANDLER.
// Each line on standard input is an event, each line on standard output its answer, until the input ends.
import { Console } from "node:console";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const [folder, name] = process.argv.slice(2);
const [file, exported] = name.split(".");
// A function that was changed or deleted has no use for its old instance.
setInterval(() => existsSync(folder) || process.exit(), 1000).unref();
// What the function prints is its log.
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
