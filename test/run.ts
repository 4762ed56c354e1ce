import "../scripts/lib/nodeVersion";
import { announcement, installMissing } from "../local/installs";
import { unsupported } from "../local/preflight";
import { type Counts, type Layer, layers } from "./layers";

/**
 * One stage after another. The lanes of a stage run side by side, the layers of a lane one after another. The last
 * stage measures time, so that nothing runs beside it.
 */
const STAGES = [
  [["check", "python"], ["unit"]],
  [["engine"], ["provider"], ["gateway", "readme"]],
  [["machine"]],
];

/** The layers of `npm run test:quick`, which requires neither root nor a network. */
const QUICK = ["check", "unit", "python"];

/**
 * `npm test`: runs every layer, or the named ones. Lists first what it will install and which layers are skipped, with
 * the reason. Ends with one line of counts.
 */
async function main(named: string[]): Promise<void> {
  const known = layers(unsupported());
  const chosen = choose(known, named);
  for (const { name, skipped } of chosen.filter((layer) => layer.skipped)) {
    console.log(`The ${name} tests are skipped: ${skipped}.`);
  }
  const running = chosen.filter(({ skipped }) => !skipped);
  const needed = [...new Set(running.flatMap(({ needs }) => needs))];
  process.stdout.write(announcement(needed));
  await installMissing(needed, (line) => console.log(`  ${line}`));

  const counts: Counts = { passed: 0, failed: 0, skipped: chosen.length - running.length };
  const lines: string[] = [];
  for (const stage of STAGES) {
    const lanes = stage
      .map((names) => running.filter(({ name }) => names.includes(name)))
      .filter((lane) => lane.length > 0);
    await Promise.all(
      lanes.map(async (lane) => {
        for (const layer of lane) {
          const result = await runLayer(layer, lanes.length > 1);
          for (const outcome of ["passed", "failed", "skipped"] as const) {
            counts[outcome] += result[outcome];
          }
          lines.push(describe(layer.name, result));
        }
      }),
    );
  }
  console.log(
    `\n${lines.join("\n")}\n${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`,
  );
  process.exitCode = counts.failed > 0 || counts.passed === 0 ? 1 : 0;
}

function choose(known: Layer[], named: string[]): Layer[] {
  const names = named.includes("quick") ? QUICK : named;
  const unknown = names.filter((name) => !known.some((layer) => layer.name === name));
  if (unknown.length > 0) {
    throw new Error(
      `there is no layer ${unknown.join(", ")}; allowed: quick, ${known.map(({ name }) => name).join(", ")}`,
    );
  }
  return names.length > 0 ? known.filter(({ name }) => names.includes(name)) : known;
}

interface Result extends Counts {
  seconds: number;
}

/** Runs one layer. In parallel with others, its output is held back until it ends, so that outputs are not mixed. */
async function runLayer(layer: Layer, beside: boolean): Promise<Result> {
  const begin = Date.now();
  const title = `\n=== ${layer.title} ===`;
  console.log(beside ? `\n${layer.title}: running` : title);
  const { output, ...counts } = await layer.run(beside);
  if (beside) {
    console.log(`${title}\n${output}`);
  }
  return { ...counts, seconds: (Date.now() - begin) / 1000 };
}

function describe(name: string, { passed, failed, skipped, seconds }: Result): string {
  return `${name.padEnd(9)} ${passed} passed, ${failed} failed, ${skipped} skipped in ${seconds.toFixed(0)} s`;
}

main(process.argv.slice(2)).catch((error: Error) => {
  console.error(error.message);
  process.exitCode = 1;
});
