import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { pythonWith } from "../local/python";
import { CACHE, ROOT } from "../scripts/lib/paths";

const FOLDER = join(ROOT, "machine");

const USAGE = `usage: npm run check:machine
       npm run test:python [-- PYTEST_ARGUMENT…]

The first checks the Python and shell code of machine/ with ruff, mypy and shellcheck; the second runs its tests.
Both use the packages of machine/dev.lock, in a virtual environment outside this folder.
`;

/** A step: its name, and the arguments for the environment's Python. */
type Step = [name: string, ...args: string[]];

/** The second folder has the tests that need SGLang. */
const FOLDERS = ["--config", "pyproject.toml", ".", "../test/machine/python"];

const CHECKS: Step[] = [
  ["ruff check", "-m", "ruff", "check", ...FOLDERS],
  ["ruff format", "-m", "ruff", "format", "--check", ...FOLDERS],
  ["mypy", "-m", "mypy"],
];

async function main([command, ...more]: string[]): Promise<number> {
  if (command !== "check" && command !== "test") {
    console.error(USAGE);
    return 2;
  }
  const python = await pythonWith(join(FOLDER, "dev.lock"), (line) => console.log(line));
  if (command === "test") {
    return run(python, ["pytest", "-m", "pytest", "-p", "no:cacheprovider", ...more]);
  }
  const statuses = CHECKS.map((step) => run(python, step));
  return Math.max(...statuses, shellcheck(dirname(python)));
}

/** @returns the exit status */
function run(file: string, [name, ...args]: Step): number {
  console.log(`\n${name}`);
  // No caches in the repository.
  const env = {
    ...process.env,
    PYTHONDONTWRITEBYTECODE: "1",
    RUFF_CACHE_DIR: join(CACHE, "ruff"),
    MYPY_CACHE_DIR: join(CACHE, "mypy"),
    HYPOTHESIS_STORAGE_DIRECTORY: join(CACHE, "hypothesis"),
  };
  return spawnSync(file, args, { cwd: FOLDER, stdio: "inherit", env }).status ?? 1;
}

/** Every shell script of machine/, whatever its name. */
function shellcheck(bin: string): number {
  const scripts = readdirSync(FOLDER, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((path) => /^#!\/bin\/(ba)?sh\n/.test(readFileSync(path, "latin1").slice(0, 20)));
  return run(join(bin, "shellcheck"), ["shellcheck", ...scripts]);
}

main(process.argv.slice(2)).then(
  (status) => {
    process.exitCode = status;
  },
  (error: Error) => {
    console.error(error.message);
    process.exitCode = 1;
  },
);
