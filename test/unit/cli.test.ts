import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Command } from "commander";
import { describe, expect, it, onTestFinished } from "vitest";
import { gatewayCommand } from "../../bench/gateway/command";
import { growthCommand } from "../../bench/growth/command";
import { runCommand as benchCommand } from "../../bench/run/command";
import { costCommand } from "../../scripts/cost/command";
import { doctorCommand } from "../../scripts/doctor/command";
import { envCommand } from "../../scripts/env/command";
import { evaluateCommand } from "../../scripts/evaluate/command";
import { imageCommand } from "../../scripts/image/command";
import { type Context, matching, option, ScriptCommand, whole } from "../../scripts/lib/commandLine";
import { ROOT } from "../../scripts/lib/paths";
import { mirrorCommand } from "../../scripts/mirror/command";
import { rotateCommand } from "../../scripts/rotate/command";
import { tuneCommand } from "../../scripts/tune/command";
import { verifyCommand } from "../../scripts/verify/command";
import { runCommand } from "./fakes/environment";

const NPM_SCRIPTS: Record<string, string> = JSON.parse(
  readFileSync(join(ROOT, "package.json"), "utf8"),
).scripts;

/** Every option of each command that operators and the documentation use. */
const OPTIONS: [(context: Context) => Command, string[]][] = [
  [
    verifyCommand,
    ["--stack", "--client", "--from-env", "--json", "--timeout", "--skip-machine", "--fail-on"],
  ],
  [rotateCommand, ["--stack", "--client", "--yes", "--revoke-now", "--revoke-previous"]],
  [imageCommand, ["--stack", "--check", "--max-age", "--roll", "--yes", "--json"]],
  [envCommand, ["--stack", "--client", "--write"]],
  [evaluateCommand, ["--stack", "--client", "--task", "--instruction"]],
  [costCommand, ["--stack", "--tokens-per-second", "--hours", "--machines"]],
  [doctorCommand, ["--stack", "--json"]],
  [mirrorCommand, ["--to", "--only", "--region", "--model", "--hub", "--index"]],
  [tuneCommand, ["--stack", "--instance", "--seconds", "--candidates", "--yes"]],
  [
    benchCommand,
    [
      ...[
        "--stack",
        "--client",
        "--url",
        "--model",
        "--compare",
        "--compare-model",
        "--connections",
        "--rate",
      ],
      ...["--batch", "--tokens", "--format", "--seconds", "--windows", "--svg", "--json"],
    ],
  ],
  [gatewayCommand, ["--accelerator", "--litellm", "--seconds", "--windows", "--svg", "--json"]],
  [growthCommand, ["--windows", "--seconds", "--svg", "--json", "--gateway-only"]],
];

describe.each(OPTIONS.map(([build, options]) => [build.name, build, options] as const))(
  "%s",
  (_, build, options) => {
    it("documents each of its options, and has no other", async () => {
      const { status, stdout, stderr } = await runCommand(build, ["--help"]);
      expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
      const shown = [...stdout.matchAll(/^ {2}(?:-\w, )?(--[\w-]+)(?: [<[]\S+)? +\S/gm)].map(
        ([, name]) => name,
      );
      expect(shown).toEqual([...options, "--help"]);
      expect(stdout).toMatch(/^Usage: npm run (-s )?[\w:]+ -- .*\[options\]$/m);
    });

    it("rejects an unknown option, in one line that names it", async () => {
      const { status, stdout, stderr } = await runCommand(build, ["--nonsense"]);
      expect({ status, stdout }).toEqual({ status: 2, stdout: "" });
      expect(stderr).toMatch(/^[\w:]+: unknown option '--nonsense'.*\n$/);
    });
  },
);

it.each([
  [[], /^rotate: --stack is not set: the stack whose key to rotate\n$/],
  [
    ["--stack", "a", "--revoke-now", "--revoke-previous"],
    /^rotate: option '--revoke-now' cannot be used with option '--revoke-previous'\n$/,
  ],
  [["--stak", "a"], /^rotate: unknown option '--stak' \(Did you mean --stack\?\)\n$/],
  [["--stack", "a", "b"], /^rotate: too many arguments/],
])("rotate rejects %j", async (argv, message) => {
  const { status, stderr } = await runCommand(rotateCommand, argv);
  expect(status).toBe(2);
  expect(stderr).toMatch(message);
});

describe("npm scripts", () => {
  const ofPrograms = Object.entries(NPM_SCRIPTS).filter(([, command]) => command.includes("cli.ts"));

  it("each run a command of a program", () => {
    expect(ofPrograms.map(([script]) => script).sort()).toEqual(
      [
        ...["start", "stop", "example", "bench", "bench:gateway", "bench:growth"],
        ...["verify", "rotate", "image", "env", "evaluate", "doctor", "cost", "mirror", "tune"],
      ].sort(),
    );
  });

  it.each(ofPrograms)("%s shows its help without loading an SDK", (script, command) => {
    const [tsx, file, name] = command.split(" ");
    expect(tsx).toBe("tsx");
    const { stdout, loaded } = help(file!, name!);
    expect(stdout).toMatch(new RegExp(`^Usage: npm (run (-s )?)?${script} -- `));
    expect(loaded.some((path) => path.endsWith("commandLine.ts"))).toBe(true);
    const slow = /node_modules\/(@aws-sdk|@pulumi|@smithy|listr2|undici|yaml)\//;
    expect(loaded.filter((path) => slow.test(path))).toEqual([]);
  });
});

describe("an option's rule", () => {
  const command = (action: (options: object) => void) => (context: Context) =>
    new ScriptCommand("try")
      .addOption(option("-n, --number <n>", "how many", whole(9)).default(3))
      .addOption(option("--name <name>", "which", matching(/^[a-z]+$/, "small letters")))
      .action((options: object) => {
        action(options);
        context.out("qwen3_0123456789abcdef0123456789abcdef0123456789abcdef");
      });

  it("reads values and keeps defaults", async () => {
    const seen: object[] = [];
    const build = command((options) => seen.push(options));
    await runCommand(build, ["-n", "9", "--name", "a"]);
    await runCommand(build, []);
    expect(seen).toEqual([{ number: 9, name: "a" }, { number: 3 }]);
  });

  it.each([
    [["--number", "10"], 'try: --number is "10"; allowed: a whole number from 1 to 9\n'],
    [["--number", "1e1"], 'try: --number is "1e1"; allowed: a whole number from 1 to 9\n'],
    [["--name", "B"], 'try: --name is "B"; allowed: small letters\n'],
  ])("rejects %j with the option, its value and what is allowed", async (argv, message) => {
    const { status, stderr } = await runCommand(
      command(() => undefined),
      argv,
    );
    expect({ status, stderr }).toEqual({ status: 2, stderr: message });
  });

  it("exits with 1 if an action fails, with the error's text and without a key", async () => {
    const key = `qwen3_${"k".repeat(48)}`;
    const build = command(() => {
      throw new Error(`no luck with ${key}`);
    });
    const { status, stdout, stderr } = await runCommand(build, []);
    expect({ status, stdout, stderr }).toEqual({
      status: 1,
      stdout: "",
      stderr: "try: no luck with [redacted]\n",
    });
  });

  it("removes keys from what a command prints", async () => {
    const { stdout } = await runCommand(
      command(() => undefined),
      [],
    );
    expect(stdout).toBe("[redacted]");
  });
});

/** The help of a program's command, in a separate process, and the modules that it loaded. */
function help(file: string, command: string): { stdout: string; loaded: string[] } {
  const folder = mkdtempSync(join(tmpdir(), "qwen3-cli-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const preload = join(folder, "list.cjs");
  writeFileSync(
    preload,
    `process.on("exit", () => require("fs").writeFileSync(${JSON.stringify(join(folder, "loaded"))}, ` +
      `Object.keys(require.cache).join("\\n")));`,
  );
  const argv = ["--require", preload, "--import", "tsx", join(ROOT, file), command, "--help"];
  const stdout = execFileSync(process.execPath, argv, { cwd: ROOT, encoding: "utf8" });
  return { stdout, loaded: readFileSync(join(folder, "loaded"), "utf8").split("\n") };
}
