import { LocalWorkspace, type Stack } from "@pulumi/pulumi/automation";
import { readLocalEnvironment } from "../lib/localEnvironment";
import { ROOT } from "../lib/paths";
import { runProgram } from "../lib/program";
import { projectName } from "../lib/project";

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

/** Where the engine's own lines go. */
type Write = (text: string) => void;
const toStdout: Write = (text) => process.stdout.write(text);

/** Opens a stack with this repository's program: a local environment's of that name, otherwise one of the backend in use. */
export async function openEngine(name: string, write: Write = toStdout): Promise<Engine> {
  return engineOf(await open(name), write);
}

export function engineOf(stack: Stack, write: Write = toStdout): Engine {
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
      await stack.up({ ...options(replace), onOutput: write });
    },
  };
}

function options(replace: string | undefined) {
  return { replace: replace ? [replace] : undefined, suppressProgress: true, color: "never" } as const;
}

function open(name: string): Promise<Stack> {
  const local = readLocalEnvironment(name);
  // The Automation API looks for the engine on this process's PATH alone.
  Object.assign(process.env, local?.env);
  const workDir = local?.workDir ?? ROOT;
  return LocalWorkspace.selectStack(
    { stackName: local?.stackName ?? name, projectName: projectName(workDir), program: runProgram },
    { workDir, envVars: local?.env },
  );
}
