import { check, regionProblems, requireNone } from "../../components/settings/check";
import type { Settings } from "../../components/settings/table";
import { stackName } from "../../components/stackName";
import type { AwsAccess } from "../lib/aws";
import { readLocalEnvironment } from "../lib/localEnvironment";
import { ROOT } from "../lib/paths";
import { readStackFile } from "../lib/stackFile";

/** What the command uses of the world around it; tests pass their own. */
export interface Tuning {
  /** Folder with Pulumi.yaml and Pulumi.STACK.yaml. */
  folder: string;
  /** Base URL of the Hugging Face Hub. */
  hub: string;
}

/** The deployment that is checked. */
export interface Subject {
  settings: Settings;
  region: string;
  /** Begins the names of the stack's resources. */
  name: string;
  access: AwsAccess;
  hub: string;
}

/**
 * Reads and checks a stack's settings as a deployment does.
 *
 * @throws UsageError if there is no Pulumi.STACK.yaml
 * @throws pulumi.RunError that lists every problem
 */
export function readSubject(stack: string, env: NodeJS.ProcessEnv, tuning: Partial<Tuning>): Subject {
  const local = readLocalEnvironment(stack, env);
  const { settings: written, provider } = readStackFile(stack, tuning.folder ?? local?.workDir ?? ROOT);
  const { settings, problems } = check(written);
  requireNone([...regionProblems(provider.region), ...problems]);
  const region = provider.region!;
  return {
    settings,
    region,
    name: stackName(stack),
    access: {
      region,
      env: { ...env, ...local?.env },
      endpointUrl: settings.awsEndpointUrl,
      profile: provider.profile,
    },
    hub: tuning.hub ?? "https://huggingface.co",
  };
}
