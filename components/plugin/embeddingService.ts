import * as pulumi from "@pulumi/pulumi";
import { EmbeddingService as Service } from "../embeddingService";
import { serviceArgs } from "../embeddingServiceArgs";
import { checkSettings } from "../settings/check";
import type { EmbeddingServiceArgs } from "./args";

/**
 * Qwen3-Embedding-4B as a service on AWS: network, API keys, endpoint and GPU instances. With a domain, instances run in
 * an Auto Scaling group behind a load balancer; without one, a single instance has an Elastic IP address.
 */
export class EmbeddingService extends pulumi.ComponentResource {
  /** Base URL for OpenAI clients, `https://HOST/v1`. */
  readonly endpoint: pulumi.Output<string>;
  /** PEM of the two certificate authorities of the endpoint; empty with a domain, whose certificate is public. */
  readonly caCertificate: pulumi.Output<string>;
  /** Name of the model in requests. */
  readonly model: pulumi.Output<string>;
  /** Length of an embedding. */
  readonly dimensions: pulumi.Output<number>;
  /** Region of the service. */
  readonly region: pulumi.Output<string>;
  /** ID of the instance; empty with a domain. */
  readonly instanceId: pulumi.Output<string>;
  /** Name of the Auto Scaling group; empty without a domain. */
  readonly autoScalingGroup: pulumi.Output<string>;
  /** ARNs of the secrets with the API keys, by client. */
  readonly secretArns: pulumi.Output<Record<string, string>>;
  /** URNs to replace in order to rotate the API keys, by client. */
  readonly apiKeyUrns: pulumi.Output<Record<string, string>>;
  /** `secretArns` of the first client. */
  readonly secretArn: pulumi.Output<string>;
  /** `apiKeyUrns` of the first client. */
  readonly apiKeyUrn: pulumi.Output<string>;

  /** @throws pulumi.RunError that lists everything that is wrong with the arguments, before anything is created */
  constructor(name: string, args: EmbeddingServiceArgs, opts?: pulumi.ComponentResourceOptions) {
    const settings = checkSettings({ ...args });
    super("qwen3-embedding:index:EmbeddingService", name, {}, opts);
    const service = new Service(name, serviceArgs(settings), { parent: this });
    this.endpoint = service.endpoint;
    this.caCertificate = service.caCertificate;
    this.model = service.model;
    this.dimensions = service.dimensions;
    this.region = service.region;
    this.instanceId = service.instanceId.apply((id) => id ?? "");
    this.autoScalingGroup = service.autoScalingGroup.apply((group) => group ?? "");
    this.secretArns = service.secretArns;
    this.apiKeyUrns = service.apiKeyUrns;
    this.secretArn = service.secretArn;
    this.apiKeyUrn = service.apiKeyUrn;
    this.registerOutputs({ endpoint: this.endpoint });
  }
}
