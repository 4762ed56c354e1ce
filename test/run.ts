import "../scripts/lib/nodeVersion";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { installPrograms, unsupported } from "../local/preflight";
import { ROOT } from "../scripts/lib/paths";
import { findTools } from "./provider/terraform";

/** A layer of test and why it cannot run here, if it cannot. */
interface Layer {
  name: string;
  skipped?: string;
}

/** `npm test`: every layer, or those named; says which are skipped and why; ends with one line of counts. */
async function main(named: string[]): Promise<void> {
  const reason = unsupported();
  const layers: Layer[] = [
    { name: "unit" },
    { name: "python" },
    { name: "engine", skipped: reason },
    { name: "provider", skipped: providerUnsupported() },
    { name: "machine", skipped: reason },
  ];
  const chosen = named.length > 0 ? layers.filter(({ name }) => named.includes(name)) : layers;
  if (!reason && chosen.some(({ name }) => name === "engine" || name === "machine")) {
    console.log(`Programs: ${await installPrograms((line) => console.log(line))}`);
  }
  const counts = { passed: 0, failed: 0, skipped: 0 };
  const check = named.length > 0 || runCheck();
  for (const { name, skipped } of chosen) {
    if (skipped) {
      console.log(`\nThe ${name} tests are skipped: ${skipped}.`);
      counts.skipped += 1;
      continue;
    }
    const result = name === "python" ? runPytest() : runVitest(name);
    counts.passed += result.passed;
    counts.failed += result.failed;
    counts.skipped += result.skipped;
  }
  counts.failed += check ? 0 : 1;
  console.log(`\n${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`);
  process.exitCode = counts.failed > 0 || counts.passed === 0 ? 1 : 0;
}

/** Why the provider layer cannot run here, or undefined where it can. */
function providerUnsupported(): string | undefined {
  const tools = findTools();
  return typeof tools === "string" ? tools : undefined;
}

function runCheck(): boolean {
  console.log("\nTypes, lint and format");
  const passed = ["check", "check:machine"].map(
    (script) => spawnSync("npm", ["run", "--silent", script], { cwd: ROOT, stdio: "inherit" }).status === 0,
  );
  return passed.every(Boolean);
}

interface Counts {
  passed: number;
  failed: number;
  skipped: number;
}

/** The tests of machine/, by the counts of pytest's report. */
function runPytest(): Counts {
  console.log("\nThe python tests");
  return withReport("report.xml", (report) => {
    const args = ["run", "--silent", "test:python", "--", `--junitxml=${report}`];
    const { status } = spawnSync("npm", args, { cwd: ROOT, stdio: "inherit" });
    const suite = /<testsuite [^>]*>/.exec(readFileSync(report, "utf8"))?.[0] ?? "";
    const count = (name: string) => Number(new RegExp(` ${name}="(\\d+)"`).exec(suite)?.[1] ?? 0);
    const [failed, skipped] = [count("failures") + count("errors"), count("skipped")];
    return {
      passed: count("tests") - failed - skipped,
      failed: status !== 0 && failed === 0 ? 1 : failed,
      skipped,
    };
  });
}

function runVitest(project: string): Counts {
  console.log(`\nThe ${project} tests`);
  return withReport("report.json", (report) => readVitest(project, report));
}

function readVitest(project: string, report: string): Counts {
  const { status } = spawnSync(
    "vitest",
    ["run", "--project", project, "--reporter=default", "--reporter=json", `--outputFile.json=${report}`],
    { cwd: ROOT, stdio: "inherit" },
  );
  const counted = JSON.parse(readFileSync(report, "utf8")) as Record<string, number>;
  const failed = counted.numFailedTests ?? 0;
  // A file that does not load fails without a failed test.
  return {
    passed: counted.numPassedTests ?? 0,
    failed: status !== 0 && failed === 0 ? 1 : failed,
    skipped: (counted.numPendingTests ?? 0) + (counted.numTodoTests ?? 0),
  };
}

/** Counts from a report; a run that leaves none that can be read has failed. */
function withReport(name: string, run: (report: string) => Counts): Counts {
  const folder = mkdtempSync(join(tmpdir(), "qwen3-test-"));
  try {
    return run(join(folder, name));
  } catch {
    return { passed: 0, failed: 1, skipped: 0 };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

main(process.argv.slice(2)).catch((error: Error) => {
  console.error(error.message);
  process.exitCode = 1;
});
