import { type ParseArgsConfig, parseArgs } from "node:util";

/** Wrong usage: a flag or a variable that is missing or has a value that is not allowed. */
export class UsageError extends Error {}

/** Where a command writes; `process` is one. */
export interface Streams {
  stdout: { write(text: string): unknown };
  stderr: { write(text: string): unknown };
}

/** Node's parseArgs. @throws UsageError */
export function parseFlags<T extends ParseArgsConfig>(config: T): ReturnType<typeof parseArgs<T>> {
  try {
    return parseArgs(config);
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}
