import * as ec2 from "@pulumi/aws/ec2";
import * as pulumi from "@pulumi/pulumi";
import { Certificate } from "../keys/certificate";

export interface EndpointArgs {
  /** Days for which the certificate's destroyed secret can be restored; 0 deletes at once. */
  recoveryDays: number;
  /** Refuse to destroy the address that clients know. */
  protect?: boolean;
}

/**
 * Where clients connect: an address that outlives the machine behind it, and its certificate.
 * TLS always; without a domain, from a certificate authority of this stack.
 */
export class Endpoint extends pulumi.ComponentResource {
  /** Base URL for OpenAI's clients, `https://ADDRESS/v1`. */
  readonly url: pulumi.Output<string>;
  /** PEM of the authority to verify the endpoint with. */
  readonly caCertificate: pulumi.Output<string>;
  /** Elastic IP to associate with the machine. */
  readonly allocationId: pulumi.Output<string>;
  readonly certificate: Certificate;

  constructor(name: string, args: EndpointArgs, opts?: pulumi.ComponentResourceOptions) {
    super("qwen3-embedding-stack:index:Endpoint", name, {}, opts);
    const address = new ec2.Eip(
      name,
      { domain: "vpc", tags: { Name: name } },
      { parent: this, protect: args.protect },
    );
    this.certificate = new Certificate(
      name,
      { subject: { ipAddress: address.publicIp }, recoveryDays: args.recoveryDays },
      { parent: this },
    );
    this.url = pulumi.interpolate`https://${address.publicIp}/v1`;
    this.caCertificate = this.certificate.caCertificate;
    this.allocationId = address.allocationId;
    this.registerOutputs({ url: this.url, allocationId: this.allocationId });
  }
}
