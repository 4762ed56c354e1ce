import * as ec2 from "@pulumi/aws/ec2";
import * as pulumi from "@pulumi/pulumi";
import type { AuthorityName } from "../keys/authorities";
import { Certificate } from "../keys/certificate";
import { stackTags } from "../tags";

export interface AddressEndpointArgs {
  /** Days for which Secrets Manager can restore the deleted certificate; 0 deletes it immediately. */
  recoveryDays: number;
  /** Protect the address that clients use, and the keys of the certificate authorities that they trust. */
  protect?: boolean;
  /** The certificate authority that signs; the first one by default. */
  signedBy?: AuthorityName;
}

/**
 * The endpoint of a single instance: an Elastic IP address that outlives the instance, and a certificate for it from a
 * private certificate authority.
 */
export class AddressEndpoint extends pulumi.ComponentResource {
  /** Base URL for OpenAI clients, `https://ADDRESS/v1`. */
  readonly url: pulumi.Output<string>;
  /** Certificates of both private authorities, PEM. */
  readonly caCertificate: pulumi.Output<string>;
  /** Elastic IP address to associate with the instance. */
  readonly allocationId: pulumi.Output<string>;
  readonly certificate: Certificate;

  constructor(name: string, args: AddressEndpointArgs, opts?: pulumi.ComponentResourceOptions) {
    super("qwen3-embedding-stack:index:AddressEndpoint", name, {}, opts);
    const address = new ec2.Eip(
      name,
      { domain: "vpc", tags: stackTags(name) },
      { parent: this, protect: args.protect },
    );
    this.certificate = new Certificate(
      name,
      {
        subject: { ipAddress: address.publicIp },
        recoveryDays: args.recoveryDays,
        signedBy: args.signedBy,
        protect: args.protect,
      },
      { parent: this },
    );
    this.url = pulumi.interpolate`https://${address.publicIp}/v1`;
    this.caCertificate = this.certificate.caCertificate;
    this.allocationId = address.allocationId;
    this.registerOutputs({ url: this.url, allocationId: this.allocationId });
  }
}
