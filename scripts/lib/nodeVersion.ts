import { existsSync } from "node:fs";
import { join } from "node:path";

/** The oldest Node that this repository supports; a test compares it with `engines` in package.json. */
export const NEEDED = "22.19.0";

/** Numbers of a version, in order. */
function parts(version: string): number[] {
  return version.split(/[.-]/).map(Number);
}

/** Whether a version such as 22.19.0 is older than another one. */
export function isOlder(version: string, other: string): boolean {
  const [a, b] = [parts(version), parts(other)];
  const first = [0, 1, 2].find((i) => a[i] !== b[i]);
  return first !== undefined && a[first]! < b[first]!;
}

/** What to run, depending on the package `node`, whose install script puts Node where npm scripts find it. */
function advice(): string {
  const packages = join(__dirname, "../../node_modules");
  if (existsSync(join(packages, ".bin/node"))) {
    return "use npm run, which runs Node 24 from node_modules";
  }
  return existsSync(join(packages, "node"))
    ? "run npm rebuild node --ignore-scripts=false, which installs Node 24 in node_modules"
    : "run npm ci --include=dev --ignore-scripts=false, which installs Node 24 in node_modules";
}

if (isOlder(process.versions.node, NEEDED)) {
  console.error(
    `This command requires Node ${NEEDED} or later, but Node ${process.versions.node} runs it (${process.execPath}): ${advice()}.`,
  );
  process.exit(1);
}
