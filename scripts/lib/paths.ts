import { homedir } from "node:os";
import { join } from "node:path";

/** The folder of this package in a user's state folder. */
const PACKAGE = "qwen3-embedding-stack";

/** The repository's own folder. */
export const ROOT = join(__dirname, "..", "..");

export { CACHE } from "../../components/bundle/cache";

/** Where this package keeps what belongs to a stack on the user's machine. */
export function stateRoot(env: NodeJS.ProcessEnv = process.env): string {
  return join(env.XDG_STATE_HOME || join(env.HOME || homedir(), ".local", "state"), PACKAGE);
}

/** One stack's part: `ca.pem`; of a local environment, Pulumi's state, the emulator's and the instances' as well. */
export function stateFolder(stack: string, env: NodeJS.ProcessEnv = process.env): string {
  return join(stateRoot(env), ...stack.split("/"));
}
