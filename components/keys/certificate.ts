import * as secretsmanager from "@pulumi/aws/secretsmanager";
import * as pulumi from "@pulumi/pulumi";
import * as tls from "@pulumi/tls";

const DAY = 24;

export interface CertificateArgs {
  /** The IP address or DNS name that it certifies. */
  subject: { ipAddress: pulumi.Input<string> } | { dnsName: string };
  /** Days for which Secrets Manager can restore the deleted secret; 0 deletes it immediately. */
  recoveryDays: number;
}

/**
 * A server certificate for one address or name, signed by a private certificate authority of this service.
 * Instances read it with its private key from Secrets Manager: `{"certificate": PEM, "privateKey": PEM}`.
 */
export class Certificate extends pulumi.ComponentResource {
  /** Certificate of the authority, PEM. Clients verify the endpoint with it. */
  readonly caCertificate: pulumi.Output<string>;
  readonly secretArn: pulumi.Output<string>;
  readonly versionId: pulumi.Output<string>;

  constructor(name: string, args: CertificateArgs, opts?: pulumi.ComponentResourceOptions) {
    super("qwen3-embedding-stack:index:Certificate", name, {}, opts);
    const authority = this.createAuthority(name);
    const server = this.createServerCertificate(name, authority, args.subject);
    const { secret, version } = this.storeInSecretsManager(name, server, args.recoveryDays);
    this.caCertificate = authority.certificate.certPem;
    // Readers of the secret wait for its version.
    this.secretArn = pulumi.all([secret.arn, version.versionId]).apply(([arn]) => arn);
    this.versionId = version.versionId;
    this.registerOutputs({
      caCertificate: this.caCertificate,
      secretArn: this.secretArn,
      versionId: this.versionId,
    });
  }

  private createAuthority(name: string) {
    const key = new tls.PrivateKey(
      `${name}-ca`,
      { algorithm: "ECDSA", ecdsaCurve: "P256" },
      { parent: this },
    );
    const certificate = new tls.SelfSignedCert(
      `${name}-ca`,
      {
        privateKeyPem: key.privateKeyPem,
        subject: { commonName: `${name} CA`, organization: "qwen3-embedding-stack" },
        isCaCertificate: true,
        setSubjectKeyId: true,
        validityPeriodHours: 3650 * DAY,
        allowedUses: ["cert_signing", "crl_signing"],
      },
      { parent: this },
    );
    return { key, certificate };
  }

  private createServerCertificate(
    name: string,
    authority: { key: tls.PrivateKey; certificate: tls.SelfSignedCert },
    subject: CertificateArgs["subject"],
  ) {
    const key = new tls.PrivateKey(
      `${name}-server`,
      { algorithm: "ECDSA", ecdsaCurve: "P256" },
      { parent: this },
    );
    const request = new tls.CertRequest(
      `${name}-server`,
      {
        privateKeyPem: key.privateKeyPem,
        subject: { commonName: name },
        ...("ipAddress" in subject ? { ipAddresses: [subject.ipAddress] } : { dnsNames: [subject.dnsName] }),
      },
      { parent: this },
    );
    const certificate = new tls.LocallySignedCert(
      `${name}-server`,
      {
        certRequestPem: request.certRequestPem,
        caPrivateKeyPem: authority.key.privateKeyPem,
        caCertPem: authority.certificate.certPem,
        validityPeriodHours: 825 * DAY,
        // Any `pulumi up` in its last half year renews it; instances load the new one without a restart.
        earlyRenewalHours: 183 * DAY,
        allowedUses: ["digital_signature", "server_auth"],
      },
      { parent: this },
    );
    return { key, certificate };
  }

  private storeInSecretsManager(
    name: string,
    server: { key: tls.PrivateKey; certificate: tls.LocallySignedCert },
    recoveryDays: number,
  ): { secret: secretsmanager.Secret; version: secretsmanager.SecretVersion } {
    const secret = new secretsmanager.Secret(
      name,
      {
        namePrefix: `${name}-`,
        description: "Certificate and private key of the embedding endpoint",
        recoveryWindowInDays: recoveryDays,
      },
      { parent: this },
    );
    const version = new secretsmanager.SecretVersion(
      name,
      {
        secretId: secret.id,
        secretString: pulumi.jsonStringify({
          certificate: server.certificate.certPem,
          privateKey: server.key.privateKeyPem,
        }),
      },
      { parent: this },
    );
    return { secret, version };
  }
}
