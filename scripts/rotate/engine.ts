import { LocalWorkspace, type OpMap, type Stack } from "@pulumi/pulumi/automation";
import { readEnvironment } from "../../local/environment";
import { ROOT } from "../../local/paths";
import { runProgram } from "../../local/up";
import { openStack } from "../../local/workspace";

/** What a rotation asks of Pulumi's engine. */
export interface Engine {
  /** What an update without a rotation would do, operations that change nothing left out. */
  pending(): Promise<{ changes: [keyof OpMap, number][]; shown: string }>;
  /** Updates the stack, replacing one resource and what follows from it. */
  replace(urn: string): Promise<void>;
}

/** Opens a stack with this repository's program: a local environment's of that name, otherwise one of the backend in use. */
export async function openEngine(name: string): Promise<Engine> {
  const stack = await open(name);
  return {
    pending: async () => {
      const { changeSummary, stdout } = await stack.preview({ color: "never", suppressProgress: true });
      const changes = Object.entries(changeSummary) as [keyof OpMap, number][];
      return {
        changes: changes.filter(([operation, number]) => operation !== "same" && number > 0),
        shown: stdout,
      };
    },
    replace: async (urn) => {
      const write = (text: string) => process.stdout.write(text);
      await stack.up({ replace: [urn], onOutput: write, suppressProgress: true, color: "never" });
    },
  };
}

function open(name: string): Promise<Stack> {
  const local = readEnvironment(name);
  if (local) {
    Object.assign(process.env, local.env);
    return openStack(local, runProgram);
  }
  const project = { projectName: "qwen3-embedding-stack", program: runProgram };
  return LocalWorkspace.selectStack({ stackName: name, ...project }, { workDir: ROOT });
}
