import type * as pulumi from "@pulumi/pulumi";
import type { ApiKey } from "../keys/apiKey";
import type { Certificate } from "../keys/certificate";
import type { Settings } from "../settings/table";
import type { Surroundings } from "./surroundings";

/** What each kind of service is made from. */
export interface ServiceContext extends Surroundings {
  /** Begins the name of every resource. */
  name: string;
  settings: Settings;
  /** By client. */
  keys: Record<string, ApiKey>;
  /** The service's component. */
  parent: pulumi.ComponentResource;
}

/** What each kind of service provides. */
export interface Service {
  /** Base URL for OpenAI clients, `https://HOST/v1`. */
  url: pulumi.Output<string>;
  /** PEM of the certificate authorities of the endpoint; empty for a public one. */
  caCertificate: pulumi.Output<string>;
  /** Certificate of the instances. */
  certificate: Certificate;
  /** With an address. */
  instanceId?: pulumi.Output<string>;
  /** With a domain. */
  autoScalingGroup?: pulumi.Output<string>;
  /** With a domain: version of the launch template that the instances must have. */
  launchTemplateVersion?: pulumi.Output<string>;
}
