import { LocalWorkspace, type Stack } from "@pulumi/pulumi/automation";
import { readEnvironment } from "../../local/environment";
import { ROOT } from "../../local/paths";
import { runProgram } from "../../local/up";
import { openStack } from "../../local/workspace";

/** One step that an update would take. */
export interface Step {
  urn: string;
  /** `update`, `replace`, `create-replacement`, … */
  operation: string;
  /** Names of the properties that differ. */
  properties: string[];
}

/** What a rotation asks of Pulumi's engine. */
export interface Engine {
  /** The steps of an update that change something, in order, one resource replaced if it is named. */
  plan(replace?: string): Promise<Step[]>;
  /** Updates the stack, one resource and what follows from it replaced if it is named. */
  update(replace?: string): Promise<void>;
}

/** Opens a stack with this repository's program: a local environment's of that name, otherwise one of the backend in use. */
export async function openEngine(name: string): Promise<Engine> {
  return engineOf(await open(name));
}

export function engineOf(stack: Stack): Engine {
  return {
    plan: async (replace) => {
      const steps: Step[] = [];
      await stack.preview({
        ...options(replace),
        // Of an event only names are kept: its states hold secrets.
        onEvent: ({ resourcePreEvent }) => {
          if (resourcePreEvent && !["same", "read", "refresh"].includes(resourcePreEvent.metadata.op)) {
            const { urn, op, diffs } = resourcePreEvent.metadata;
            steps.push({ urn, operation: op, properties: diffs ?? [] });
          }
        },
      });
      return steps;
    },
    update: async (replace) => {
      const write = (text: string) => process.stdout.write(text);
      await stack.up({ ...options(replace), onOutput: write });
    },
  };
}

function options(replace: string | undefined) {
  return { replace: replace ? [replace] : undefined, suppressProgress: true, color: "never" } as const;
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
