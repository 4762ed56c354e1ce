import { homedir } from "node:os";
import { join } from "node:path";

/** For files that can be made again, named by their content. XDG Base Directory Specification. */
export const CACHE = join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "qwen3-embedding-stack");
