import { LocalWorkspace, type Stack } from "@pulumi/pulumi/automation";
import { readLocalEnvironment } from "../lib/localEnvironment";
import { ROOT } from "../lib/paths";
import { runProgram } from "../lib/program";
import { projectName } from "../lib/project";
import { warningsIn } from "./warnings";

/** One step of an update. */
export interface Step {
  urn: string;
  /** `update`, `replace`, `create-replacement`, … */
  operation: string;
  /** Names of the properties that differ. */
  properties: string[];
}

/** The operations of Pulumi's engine that a rotation needs. */
export interface Engine {
  /** The steps of an update that change something, in order. Replaces the resource `replace`, if it is set. */
  plan(replace?: string): Promise<Step[]>;
  /**
   * Updates the stack. Replaces the resource `replace` and what depends on it, if it is set.
   *
   * @returns the warnings of the verification
   */
  update(replace?: string): Promise<string[]>;
}

/** Receives the engine's output. */
type Write = (text: string) => void;
const toStdout: Write = (text) => process.stdout.write(text);

/** Opens a stack with this repository's program: in the local environment of that name, else in the current backend. */
export async function openEngine(name: string, write: Write = toStdout): Promise<Engine> {
  return engineOf(await open(name), write);
}

export function engineOf(stack: Stack, write: Write = toStdout): Engine {
  return {
    plan: async (replace) => {
      const steps: Step[] = [];
      await stack.preview({
        ...options(replace),
        // Only names are kept of an event: its states contain secrets.
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
      let printed = "";
      const onOutput = (text: string) => {
        printed += text;
        write(text);
      };
      await stack.up({ ...options(replace), onOutput });
      return warningsIn(printed);
    },
  };
}

function options(replace: string | undefined) {
  return { replace: replace ? [replace] : undefined, suppressProgress: true, color: "never" } as const;
}

function open(name: string): Promise<Stack> {
  const local = readLocalEnvironment(name);
  // The Automation API looks for the engine only on this process's PATH.
  Object.assign(process.env, local?.env);
  const workDir = local?.workDir ?? ROOT;
  return LocalWorkspace.selectStack(
    { stackName: local?.stackName ?? name, projectName: projectName(workDir), program: runProgram },
    { workDir, envVars: local?.env },
  );
}
