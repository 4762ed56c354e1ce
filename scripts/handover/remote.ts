import { PATHS } from "../../components/bundle/contract";
import { runOnInstance } from "../lib/systemsManager";
import { excerpt } from "../lib/text";
import type { Job } from "./job";

/** A program of an instance, such as `qwen3-drain --end`. */
export interface Program {
  instanceId: string;
  line: string;
  comment: string;
  timeoutMs: number;
  pollMs: number;
}

/** Runs a program on an instance. @returns what it prints @throws Error with the program and the instance if it fails */
export async function runProgram({ aws }: Job, { line, ...program }: Program): Promise<string> {
  const path = `${PATHS.programs}/${line}`;
  const { status, stdout, stderr } = await runOnInstance(aws, { ...program, line: path });
  if (status !== "Success") {
    throw new Error(`${path} on ${program.instanceId}: ${excerpt(stderr || stdout) || status}`);
  }
  return stdout;
}
