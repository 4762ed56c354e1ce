import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { basename, dirname, join, resolve } from "node:path";

/** `NAME=value` lines that a shell, Docker Compose and every dotenv library read the same way. */
export function formatLines(variables: Record<string, string>): string {
  return Object.entries(variables)
    .map(([name, value]) => `${name}=${quote(name, value)}\n`)
    .join("");
}

/** The text of a .env file with these variables at its end and any earlier assignments of them removed. */
export function mergeLines(text: string, variables: Record<string, string>): string {
  const kept = text
    .split("\n")
    .filter((line) => !Object.keys(variables).some((name) => assigns(line, name)))
    .join("\n");
  const separator = kept === "" || kept.endsWith("\n") ? "" : "\n";
  return `${kept}${separator}${formatLines(variables)}`;
}

/**
 * Sets the variables in a file that only its owner can read, and keeps its other lines.
 *
 * @throws Error if the file is in a git repository that does not ignore it.
 */
export function writeEnvFile(file: string, variables: Record<string, string>): void {
  requireIgnored(file);
  const before = existsSync(file) ? readFileSync(file, "utf8") : "";
  replaceFile(file, mergeLines(before, variables), 0o600);
}

/** Writes a file atomically: it never exists with another mode or with part of its text. */
export function replaceFile(file: string, text: string, mode: number): void {
  mkdirSync(dirname(file), { recursive: true });
  const temporary = `${file}.${randomBytes(6).toString("hex")}`;
  try {
    writeFileSync(temporary, text, { mode, flag: "wx" });
    chmodSync(temporary, mode);
    renameSync(temporary, file);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
}

/** Single quotes keep every character. Only values that need them are quoted. */
function quote(name: string, value: string): string {
  if (/^[\w@%+=:,./-]*$/.test(value)) {
    return value;
  }
  if (!/['\n\r]/.test(value)) {
    return `'${value}'`;
  }
  if (!/["$`\\\n\r]/.test(value)) {
    return `"${value}"`;
  }
  throw new Error(`${name} has quotes or line breaks that readers of .env files treat differently`);
}

function assigns(line: string, name: string): boolean {
  return new RegExp(`^\\s*(export\\s+)?${name}\\s*=`).test(line);
}

/** A key in a repository is a leaked key, so git must ignore the file. */
function requireIgnored(file: string): void {
  const folder = dirname(resolve(file));
  if (!existsSync(folder)) {
    throw new Error(`there is no folder ${folder} to write ${basename(file)} in`);
  }
  const real = realpathSync(folder);
  if (!inRepository(real)) {
    return;
  }
  try {
    execFileSync("git", ["check-ignore", "--quiet", "--", join(real, basename(file))], {
      cwd: real,
      stdio: ["ignore", "ignore", "pipe"],
    });
  } catch (error) {
    const { status, stderr, message } = error as { status?: number; stderr?: Buffer; message: string };
    throw new Error(
      status === 1
        ? `${file} would contain a key, but git does not ignore it: add it to .gitignore, or run git rm --cached on it, first`
        : `${file} would contain a key, but git can't tell whether it ignores it: ${stderr?.toString().trim() || message}`,
    );
  }
}

function inRepository(folder: string): boolean {
  return existsSync(join(folder, ".git")) || (dirname(folder) !== folder && inRepository(dirname(folder)));
}
