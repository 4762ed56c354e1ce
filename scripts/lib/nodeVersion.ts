import { existsSync } from "node:fs";
import { join } from "node:path";

/** The oldest Node that this repository runs on; a test holds it to `engines` in package.json. */
const NEEDED = "22.19.0";

/** Numbers of a version, in order. */
function parts(version: string): number[] {
  return version.split(/[.-]/).map(Number);
}

function isOlder(version: string, other: string): boolean {
  const [a, b] = [parts(version), parts(other)];
  const first = [0, 1, 2].find((i) => a[i] !== b[i]);
  return first !== undefined && a[first]! < b[first]!;
}

/** What to type, by what became of the package `node`, whose install script puts Node where npm scripts find it. */
function advice(): string {
  const packages = join(__dirname, "../../node_modules");
  if (existsSync(join(packages, ".bin/node"))) {
    return "start the command with npm run, which takes Node 24 from node_modules";
  }
  return existsSync(join(packages, "node"))
    ? "type npm rebuild node --ignore-scripts=false, which installs Node 24 in node_modules"
    : "type npm ci --include=dev --ignore-scripts=false, which installs Node 24 in node_modules";
}

if (isOlder(process.versions.node, NEEDED)) {
  console.error(
    `This needs Node ${NEEDED} or later, and Node ${process.versions.node} runs it (${process.execPath}): ${advice()}.`,
  );
  process.exit(1);
}
