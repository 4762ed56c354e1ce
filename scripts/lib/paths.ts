import { homedir } from "node:os";
import { join } from "node:path";

/** Name of this package's folder in a user's state folder. */
const PACKAGE = "qwen3-embedding-stack";

/** The repository's folder. A bundle of its code is elsewhere and gets it from a variable. */
export const ROOT = process.env.QWEN3_ROOT ?? join(__dirname, "..", "..");

export { CACHE } from "../../components/bundle/cache";

/** The folder on this computer for files that belong to a stack. */
export function stateRoot(env: NodeJS.ProcessEnv = process.env): string {
  return join(env.XDG_STATE_HOME || join(env.HOME || homedir(), ".local", "state"), PACKAGE);
}

/** One stack's folder: `ca.pem`; for a local environment also Pulumi's state, the emulator's and the instances'. */
export function stateFolder(stack: string, env: NodeJS.ProcessEnv = process.env): string {
  return join(stateRoot(env), ...stack.split("/"));
}
