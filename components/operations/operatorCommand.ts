import { existsSync } from "node:fs";
import { join, relative } from "node:path";

/**
 * The command line of one of the operator's commands, for a resource that runs it. Its path is relative to the program's
 * folder, in which the provider runs it, so that another checkout is no change. `exec`, because the provider signals only
 * the process that it started: a shell between the two would leave the command running after an interrupted update.
 *
 * @param words the command and its options
 */
export function operatorCommand(words: string): string {
  const folder = join(__dirname, "..", "..", "scripts");
  const source = join(folder, "cli.ts");
  const [loader, program] = existsSync(source) ? ["--import tsx ", source] : ["", join(folder, "cli.js")];
  return `exec node ${loader}${quote(relative(process.cwd(), program))} ${words}`;
}

/** A word of a shell's command line. */
function quote(text: string): string {
  return /^[\w./@-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}
