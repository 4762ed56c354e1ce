import { X509Certificate } from "node:crypto";
import { handshake } from "./handshake";
import { type Check, expect } from "./row";

/** Any update renews the stack's own certificate in its last half year, and a CA in its last three years. */
const OWN_DAYS = 60;
/** ACM renews a public certificate 60 days before its end, by itself. */
const PUBLIC_DAYS = 7;

/** A certificate that clients trust without the stack's CA. */
export function publicCertificateChecks(host: string, port: number, roots: string[]): Check[] {
  return [
    {
      name: "public CAs verify TLS",
      about: "service",
      next: "check the certificate in ACM and the load balancer's listener: openssl s_client -showcerts",
      async run() {
        const { authorized, reason, protocol, issuer, validTo } = await handshake(host, port, roots);
        expect(authorized, `not with the public CAs: ${reason}`);
        return `${protocol}, issued by ${issuer} until ${validTo}`;
      },
    },
    {
      name: `the certificate is valid for ${PUBLIC_DAYS} days`,
      about: "service",
      next: "ACM does not renew it: check the record in Route 53 that validates the certificate, then the certificate in ACM",
      async run() {
        const { validTo } = await handshake(host, port, roots);
        return daysLeft({ "the certificate": validTo }, PUBLIC_DAYS);
      },
    },
  ];
}

/** A certificate of one of the stack's own CAs. */
export function ownCertificateChecks(host: string, port: number, roots: string[], ca: string): Check[] {
  return [
    {
      name: "the exported CA alone verifies TLS",
      about: "service",
      next: "compare the caCertificate output with the chain that the endpoint sends: openssl s_client -showcerts",
      async run() {
        const exported = await handshake(host, port, ca);
        expect(exported.authorized, `not with the exported CA: ${exported.reason}`);
        const others = await handshake(host, port, roots);
        expect(
          !others.authorized,
          "the public CAs verify it as well, so it is not the private CA's certificate",
        );
        return `${exported.protocol}, issued by ${exported.issuer} until ${exported.validTo}; public CAs: ${others.reason}`;
      },
    },
    {
      name: `the certificate is valid for ${OWN_DAYS} days`,
      about: "service",
      next: "run npx pulumi up -s STACK, which renews it, and give clients the new caCertificate if a CA was renewed",
      async run() {
        const { validTo } = await handshake(host, port, ca);
        return daysLeft({ "the certificate": validTo, ...endsOf(ca) }, OWN_DAYS);
      },
    },
  ];
}

/** When each CA ends, by its name. A client that has all of them depends on the one that signs, which can be any. */
function endsOf(bundle: string): Record<string, string> {
  const certificates = bundle.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  return Object.fromEntries(
    certificates.map((pem) => {
      const { subject, validTo } = new X509Certificate(pem);
      return [`the CA ${JSON.stringify(/^CN=(.*)$/m.exec(subject)?.[1] ?? subject)}`, validTo];
    }),
  );
}

/** @param ends by certificate @throws Error if one of them ends before */
function daysLeft(ends: Record<string, string>, least: number): string {
  const left = Object.entries(ends).map(([name, end]) => ({
    name,
    end,
    days: (Date.parse(end) - Date.now()) / 86_400_000,
  }));
  const seen = left.map(({ name, end, days }) => `${name} ends in ${Math.floor(days)} days, ${end}`);
  expect(
    left.every(({ days }) => days > least),
    seen.join("; "),
  );
  return seen.join("; ");
}
