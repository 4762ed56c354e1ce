import { homedir } from "node:os";
import { join } from "node:path";

/** Folder for files that can be created again, named by their content. See the XDG Base Directory Specification. */
export const CACHE = join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "qwen3-embedding-stack");
