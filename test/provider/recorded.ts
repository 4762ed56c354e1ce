import type { Props } from "../../local/fakes/framework";
import type { Reference } from "./references";

/** The recorder's output, one JSON object per line. */
export type Recorded = RecordedResource | RecordedLookup;

export interface RecordedResource {
  kind: "resource";
  urn: string;
  /** Pulumi's type, such as `aws:ec2/vpc:Vpc`. */
  token: string;
  name: string;
  /** Terraform's type; undefined for a resource of another provider. */
  type?: string;
  /** As the engine sends them, with names filled in. */
  inputs: Props;
  /** Expressions for the tokens in other resources' inputs. */
  references: Reference[];
}

export interface RecordedLookup {
  kind: "lookup";
  /** Pulumi's function, such as `aws:ssm/getParameter:getParameter`. */
  token: string;
  /** Terraform's type of data source, and the name of this one. */
  type: string;
  name: string;
  args: Props;
  references: Reference[];
}

/** Terraform's name for a Pulumi resource. */
export function localName(name: string): string {
  return name.replace(/[^A-Za-z0-9_-]/g, "_");
}
