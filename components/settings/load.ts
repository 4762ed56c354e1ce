import * as pulumi from "@pulumi/pulumi";
import { check, regionProblems, requireNone } from "./check";
import type { RawSettings, Settings } from "./table";
import { fromText } from "./text";

/** The checked configuration of the stack. */
export interface StackSettings extends Settings {
  region: string;
  /** AWS profile of the deployer, if the configuration names one. */
  awsProfile: string | undefined;
}

/**
 * Reads the stack's configuration and checks it, before any resource exists.
 *
 * @throws pulumi.RunError that names each invalid setting, its value and what is allowed.
 */
export function loadSettings(): StackSettings {
  const aws = new pulumi.Config("aws");
  const region = aws.get("region");
  const { settings, problems } = check(readConfiguration());
  requireNone([...regionProblems(region), ...problems]);
  return { ...settings, region: region!, awsProfile: aws.get("profile") };
}

/** Every key in the project's own namespace, including misspelt ones. */
function readConfiguration(): RawSettings {
  const prefix = `${pulumi.getProject()}:`;
  const names = Object.keys(pulumi.runtime.allConfig())
    .filter((key) => key.startsWith(prefix))
    .map((key) => key.slice(prefix.length));
  const config = new pulumi.Config();
  return Object.fromEntries(names.map((name) => [name, fromText(name, config.get(name))]));
}
