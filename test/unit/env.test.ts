import { execFileSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseEnv } from "node:util";
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { envCommand } from "../../scripts/env/command";
import { formatLines, mergeLines } from "../../scripts/env/file";
import { FakeAws } from "./fakes/aws";
import { FakeHome, OTHER_ARN, runCommand, SECRET_ARN, stackAnswers, stackOutputs } from "./fakes/environment";

const KEY = `qwen3_${"SENTINEL".repeat(6)}`;
const CA = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";
const ENDPOINT = "https://192.0.2.1/v1";

let aws: FakeAws;
let awsEndpoint: string;
let home: FakeHome;
let folder: string;

beforeEach(async () => {
  aws = new FakeAws();
  aws.secrets = { [SECRET_ARN]: KEY, [OTHER_ARN]: `${KEY}2` };
  awsEndpoint = await aws.listen();
  home = new FakeHome(awsEndpoint, stackAnswers(stackOutputs(ENDPOINT, CA)));
  folder = mkdtempSync(join(tmpdir(), "qwen3-env-"));
});

afterEach(async () => {
  await aws.close();
  home.remove();
  rmSync(folder, { recursive: true, force: true });
});

describe("printing", () => {
  test("prints the four lines and nothing else", async () => {
    const { status, stdout, stderr } = await run();
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    expect(stdout).toBe(
      [
        `EMBEDDING_API_BASE=${ENDPOINT}`,
        `EMBEDDING_API_KEY=${KEY}`,
        "EMBEDDING_MODEL=Qwen3-Embedding-4B",
        `EMBEDDING_CA_FILE=${join(home.stateDirectory, "ca.pem")}`,
        "",
      ].join("\n"),
    );
  });

  test("has no CA if the endpoint's certificate is public", async () => {
    home.remove();
    home = new FakeHome(awsEndpoint, stackAnswers(stackOutputs("https://embeddings.example.com/v1", "")));
    const { status, stdout } = await run();
    expect(status).toBe(0);
    expect(stdout).not.toContain("EMBEDDING_CA_FILE");
    expect(existsSync(join(home.stateDirectory, "ca.pem"))).toBe(false);
  });

  test("writes the CA to the printed path, readable by every user", async () => {
    const { EMBEDDING_CA_FILE: file = "" } = parseEnv((await run()).stdout);
    expect(readFileSync(file, "utf8")).toBe(CA);
    expect(mode(file)).toBe(0o644);
  });

  test("prints the named client's key", async () => {
    const { stdout } = await run("--client", "search");
    expect(parseEnv(stdout).EMBEDDING_API_KEY).toBe(`${KEY}2`);
  });
});

describe("writing", () => {
  test("creates a file that only its owner can read, and prints no key", async () => {
    const file = join(folder, ".env");
    const { status, stdout, stderr } = await run("--write", file);
    expect({ status, stdout }).toEqual({ status: 0, stdout: "" });
    expect(stderr).not.toContain(KEY);
    expect(mode(file)).toBe(0o600);
    expect(parseEnv(readFileSync(file, "utf8")).EMBEDDING_API_KEY).toBe(KEY);
    expect(readdirSync(folder)).toEqual([".env"]);
  });

  test("restricts the mode of an existing file, and keeps its other lines", async () => {
    const file = join(folder, ".env");
    writeFileSync(file, "# mine\nOTHER=1\nexport EMBEDDING_API_KEY=old\nLAST=2");
    chmodSync(file, 0o666);
    expect((await run(`--write=${file}`)).status).toBe(0);
    const text = readFileSync(file, "utf8");
    expect(text).toMatch(/^# mine\nOTHER=1\nLAST=2\nEMBEDDING_API_BASE=/);
    expect(text.match(/EMBEDDING_API_KEY/g)).toHaveLength(1);
    expect(mode(file)).toBe(0o600);
  });

  test("does not write through a link", async () => {
    const victim = join(folder, "public");
    writeFileSync(victim, "");
    symlinkSync(victim, join(folder, ".env"));
    await run("--write", join(folder, ".env"));
    expect(readFileSync(victim, "utf8")).toBe("");
    expect(mode(join(folder, ".env"))).toBe(0o600);
  });

  test("writes .env in the working folder by default", async () => {
    const before = process.cwd;
    process.cwd = () => folder;
    onTestFinished(() => {
      process.cwd = before;
    });
    expect((await run("--write")).status).toBe(0);
    expect(existsSync(join(folder, ".env"))).toBe(true);
  });

  test("rejects a file that git does not ignore", async () => {
    git("init", "--quiet");
    const { status, stderr } = await run("--write", join(folder, ".env"));
    expect(status).toBe(1);
    expect(stderr).toMatch(/git does not ignore it: add it to \.gitignore/);
    expect(stderr).not.toContain(KEY);
    expect(existsSync(join(folder, ".env"))).toBe(false);
  });

  test("rejects a file that git tracks, even if it is ignored", async () => {
    git("init", "--quiet");
    writeFileSync(join(folder, ".env"), "A=1\n");
    git("add", ".env");
    writeFileSync(join(folder, ".gitignore"), ".env\n");
    expect((await run("--write", join(folder, ".env"))).status).toBe(1);
    expect(readFileSync(join(folder, ".env"), "utf8")).toBe("A=1\n");
  });

  test("writes a file that git ignores, also in a subfolder", async () => {
    git("init", "--quiet");
    writeFileSync(join(folder, ".gitignore"), ".env\n");
    mkdirSync(join(folder, "app"));
    for (const file of [join(folder, ".env"), join(folder, "app", ".env")]) {
      expect((await run("--write", file)).status).toBe(0);
      expect(mode(file)).toBe(0o600);
    }
  });

  test("reports a missing folder", async () => {
    const { status, stderr } = await run("--write", join(folder, "no", ".env"));
    expect(status).toBe(1);
    expect(stderr).toMatch(/there is no folder .*no to write \.env in/);
  });
});

describe("failing", () => {
  test("names a missing permission, and leaves nothing behind", async () => {
    aws.errors = [{ action: "GetSecretValue", type: "AccessDeniedException", message: `for ${KEY}` }];
    const { status, stdout, stderr } = await run("--write", join(folder, ".env"));
    expect(status).toBe(1);
    expect(stderr).toMatch(/secretsmanager:GetSecretValue/);
    expect(stdout + stderr).not.toContain(KEY);
    expect(readdirSync(folder)).toEqual([]);
  });

  test("never shows a key from a response of AWS", async () => {
    aws.errors = [{ action: "GetSecretValue", type: "ValidationException", message: `for ${KEY}` }];
    expect((await run()).stderr).toMatch(/can't be read: for \[redacted\]\n$/);
  });

  test.each<[string[], RegExp]>([
    [[], /--stack is not set/],
    [["--stack", "local", "file"], /too many arguments.*file/],
    [["--stack", "local", "--write", "a", "b"], /too many arguments.*b/],
    [["--stack", "local", "--nonsense"], /--nonsense/],
  ])("rejects %j as wrong usage", async (argv, message) => {
    const { status, stderr } = await runCommand(envCommand, argv, home.env);
    expect(status).toBe(2);
    expect(stderr).toMatch(message);
    expect(stderr).toMatch(/^env: .*\n$/);
  });
});

describe("values", () => {
  test.each([
    "plain/value:1.0",
    "/home/an user/ca.pem",
    'a "quoted" # value',
    "$HOME `id` \\n",
    "it's",
    "schlüssel",
    "",
  ])("%j is read back by a shell and by dotenv", (value) => {
    const lines = formatLines({ VALUE: value });
    expect(parseEnv(lines).VALUE ?? "").toBe(value);
    const script = `${lines}printf %s "$VALUE"`;
    expect(execFileSync("sh", ["-c", script], { encoding: "utf8" })).toBe(value);
  });

  test.each(["two\nlines", `it's "both"`, "it's $HOME"])("%j is rejected", (value) => {
    expect(() => formatLines({ VALUE: value })).toThrow(/VALUE has quotes or line breaks/);
  });

  test("merging twice has the same result", () => {
    const once = mergeLines("A=1\n", { B: "2" });
    expect(once).toBe("A=1\nB=2\n");
    expect(mergeLines(once, { B: "2" })).toBe(once);
  });
});

function run(...flags: string[]) {
  return runCommand(envCommand, ["--stack", "local", ...flags], home.env);
}

function git(...args: string[]): void {
  execFileSync("git", args, { cwd: folder, stdio: "pipe" });
}

function mode(file: string): number {
  return statSync(file).mode & 0o777;
}
