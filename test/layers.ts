import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  EMULATOR,
  ENGINE,
  IMAGE,
  type Install,
  LOCAL_ENVIRONMENT,
  PROGRAMS,
  pythonPackages,
} from "../local/installs";
import { ROOT } from "../scripts/lib/paths";
import { findTools } from "./provider/terraform";

export interface Counts {
  passed: number;
  failed: number;
  skipped: number;
}

/** A layer of tests. */
export interface Layer {
  name: string;
  title: string;
  /** Why it cannot run here. */
  skipped?: string;
  needs: readonly Install[];
  /** @param quiet whether to return its output instead of showing it */
  run(quiet: boolean): Promise<Counts & { output: string }>;
}

const MACHINE_TOOLS = pythonPackages("machine/dev.lock", "that check and test machine/, 320 MB");
const FUZZ = pythonPackages("test/machine/fuzz/requirements.lock", "for fuzz tests, 30 MB");
const CLIENTS = pythonPackages("examples/requirements.lock", "of the clients in examples/, 450 MB");

/** Every layer, in order. @param noContainers why local instances cannot run here, if they cannot */
export function layers(noContainers: string | undefined): Layer[] {
  const terraform = findTools();
  return [
    { name: "check", title: "Types, lint and format", needs: [MACHINE_TOOLS], run: check },
    { name: "unit", title: "The unit tests", needs: [], run: vitest("unit") },
    { name: "python", title: "The Python tests of machine/", needs: [MACHINE_TOOLS], run: pytest },
    {
      name: "engine",
      title: "The engine tests",
      skipped: noContainers,
      needs: [ENGINE, EMULATOR],
      run: vitest("engine"),
    },
    {
      name: "provider",
      title: "The provider tests",
      skipped: typeof terraform === "string" ? terraform : undefined,
      needs: [ENGINE, EMULATOR],
      run: vitest("provider"),
    },
    {
      name: "gateway",
      title: "The gateway tests",
      skipped: noContainers,
      needs: [PROGRAMS, IMAGE],
      run: vitest("gateway"),
    },
    {
      name: "readme",
      title: "The README's commands",
      skipped: noContainers,
      needs: LOCAL_ENVIRONMENT,
      run: vitest("readme"),
    },
    {
      name: "machine",
      title: "The machine tests",
      skipped: noContainers,
      needs: [...LOCAL_ENVIRONMENT, FUZZ, CLIENTS],
      run: vitest("machine"),
    },
  ];
}

async function check(quiet: boolean): Promise<Counts & { output: string }> {
  const results = [];
  for (const script of ["check", "check:machine"]) {
    results.push(await spawned("npm", ["run", "--silent", script], quiet));
  }
  const failed = results.filter(({ status }) => status !== 0).length;
  return { passed: 0, failed, skipped: 0, output: results.map(({ output }) => output).join("") };
}

/** Runs a project of vitest.config.mts. The counts are from its report. */
function vitest(project: string): Layer["run"] {
  return (quiet) =>
    withReport("report.json", async (report) => {
      const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${report}`];
      const { status, output } = await spawned("vitest", ["run", "--project", project, ...reporters], quiet);
      const counted = readReport(report, (text) => JSON.parse(text) as Record<string, number>) ?? {};
      const failed = counted.numFailedTests ?? 0;
      return {
        passed: counted.numPassedTests ?? 0,
        // A file that cannot be loaded fails without a failed test.
        failed: status !== 0 && failed === 0 ? 1 : failed,
        skipped: (counted.numPendingTests ?? 0) + (counted.numTodoTests ?? 0),
        output,
      };
    });
}

function pytest(quiet: boolean): Promise<Counts & { output: string }> {
  return withReport("report.xml", async (report) => {
    const args = ["run", "--silent", "test:python", "--", `--junitxml=${report}`];
    const { status, output } = await spawned("npm", args, quiet);
    const suite = readReport(report, (text) => /<testsuite [^>]*>/.exec(text)?.[0]) ?? "";
    const count = (name: string) => Number(new RegExp(` ${name}="(\\d+)"`).exec(suite)?.[1] ?? 0);
    const [failed, skipped] = [count("failures") + count("errors"), count("skipped")];
    return {
      passed: count("tests") - failed - skipped,
      failed: status !== 0 && failed === 0 ? 1 : failed,
      skipped,
      output,
    };
  });
}

async function withReport<T>(name: string, run: (report: string) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), "qwen3-test-"));
  try {
    return await run(join(folder, name));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Returns undefined if the run wrote no report. */
function readReport<T>(path: string, read: (text: string) => T): T | undefined {
  try {
    return read(readFileSync(path, "utf8"));
  } catch {
    return undefined;
  }
}

function spawned(file: string, args: string[], quiet: boolean): Promise<{ status: number; output: string }> {
  return new Promise((resolve, reject) => {
    const stdio = quiet ? "pipe" : "inherit";
    const child = spawn(file, args, { cwd: ROOT, stdio: ["ignore", stdio, stdio] });
    let output = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding("utf8").on("data", (text: string) => {
        output += text;
      });
    }
    child.on("error", reject);
    child.on("close", (status) => resolve({ status: status ?? 1, output }));
  });
}
