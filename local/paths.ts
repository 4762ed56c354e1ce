import { homedir } from "node:os";
import { join } from "node:path";

/** The project's own folder. */
export const ROOT = join(__dirname, "..");

export { CACHE } from "../components/bundle/cache";

/** Where everything stands that belongs to a stack on this machine. */
export function stateRoot(env: NodeJS.ProcessEnv = process.env): string {
  return join(env.XDG_STATE_HOME || join(env.HOME || homedir(), ".local", "state"), "qwen3-embedding-stack");
}

/** What one local environment is: Pulumi's state, the emulator's, its machines. */
export function stateFolder(environment: string): string {
  return join(stateRoot(), environment);
}
