import * as secretsmanager from "@pulumi/aws/secretsmanager";
import * as pulumi from "@pulumi/pulumi";
import * as tls from "@pulumi/tls";
import { AUTHORITIES, type AuthorityName } from "./authorities";

const DAY = 24;

interface Authority {
  key: tls.PrivateKey;
  certificate: tls.SelfSignedCert;
}

export interface CertificateArgs {
  /** The IP address or DNS name that it certifies. */
  subject: { ipAddress: pulumi.Input<string> } | { dnsName: string };
  /** Days for which Secrets Manager can restore the deleted secret; 0 deletes it immediately. */
  recoveryDays: number;
  /** The authority that signs; the first one by default. */
  signedBy?: AuthorityName;
  /** Protect the keys of the authorities. Their certificates are not protected, because renewal replaces them. */
  protect?: boolean;
}

/**
 * A server certificate for one address or name, signed by one of two private certificate authorities of this service.
 * Instances read it with its private key from Secrets Manager: `{"certificate": PEM, "privateKey": PEM}`.
 *
 * The certificate of an authority is renewed with the same key and name, so that clients that have the previous one
 * trust the endpoint until that one ends. The second authority is for a new key: clients have its certificate before it
 * signs anything.
 */
export class Certificate extends pulumi.ComponentResource {
  /** Certificates of both authorities, PEM. Clients verify the endpoint with them. */
  readonly caCertificate: pulumi.Output<string>;
  readonly secretArn: pulumi.Output<string>;
  readonly versionId: pulumi.Output<string>;

  constructor(name: string, args: CertificateArgs, opts?: pulumi.ComponentResourceOptions) {
    super("qwen3-embedding-stack:index:Certificate", name, {}, opts);
    const authorities: Record<AuthorityName, Authority> = {
      first: this.createAuthority(`${name}-ca`, `${name} CA`, args.protect),
      second: this.createAuthority(`${name}-second-ca`, `${name} second CA`, args.protect),
    };
    const server = this.createServerCertificate(name, authorities[args.signedBy ?? "first"], args.subject);
    const { secret, version } = this.storeInSecretsManager(name, server, args.recoveryDays);
    this.caCertificate = pulumi.concat(...AUTHORITIES.map((each) => authorities[each].certificate.certPem));
    // Readers of the secret wait for its version.
    this.secretArn = pulumi.all([secret.arn, version.versionId]).apply(([arn]) => arn);
    this.versionId = version.versionId;
    this.registerOutputs({
      caCertificate: this.caCertificate,
      secretArn: this.secretArn,
      versionId: this.versionId,
    });
  }

  private createAuthority(name: string, commonName: string, protect?: boolean): Authority {
    const key = new tls.PrivateKey(
      name,
      { algorithm: "ECDSA", ecdsaCurve: "P256" },
      { parent: this, protect },
    );
    const certificate = new tls.SelfSignedCert(
      name,
      {
        privateKeyPem: key.privateKeyPem,
        subject: { commonName, organization: "qwen3-embedding-stack" },
        isCaCertificate: true,
        setSubjectKeyId: true,
        validityPeriodHours: 3650 * DAY,
        // Any `pulumi up` in its last three years renews it. A server certificate is valid for less, so that it never
        // outlives the authority's certificate that it was signed with.
        earlyRenewalHours: 1095 * DAY,
        allowedUses: ["cert_signing", "crl_signing"],
      },
      { parent: this },
    );
    return { key, certificate };
  }

  private createServerCertificate(name: string, authority: Authority, subject: CertificateArgs["subject"]) {
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
