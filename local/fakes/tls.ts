import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  webcrypto,
} from "node:crypto";
import { isIP } from "node:net";
import * as x509 from "@peculiar/x509";
import {
  changes,
  hasUnknown,
  InputError,
  type Props,
  type ProviderDefinition,
  type ResourceDefinition,
  UNKNOWN,
} from "./framework";

/** Fake of @pulumi/tls 5.6: ECDSA keys on the curve P256, and certificates for and by them. */

x509.cryptoProvider.set(webcrypto);

const HOUR = 3_600_000;

const CURVE = { name: "ECDSA", namedCurve: "P-256" };
/** With the hash that Go's x509 package uses. */
const SIGNING = { name: "ECDSA", hash: "SHA-256" };

const KEY_USES: Record<string, x509.KeyUsageFlags> = {
  digital_signature: x509.KeyUsageFlags.digitalSignature,
  cert_signing: x509.KeyUsageFlags.keyCertSign,
  crl_signing: x509.KeyUsageFlags.cRLSign,
};

const EXTENDED_USES: Record<string, x509.ExtendedKeyUsage> = {
  server_auth: x509.ExtendedKeyUsage.serverAuth,
  client_auth: x509.ExtendedKeyUsage.clientAuth,
};

/** The parts of a subject, in the order in which Go's x509 package writes them. */
const SUBJECT = { organization: "O", commonName: "CN" } as const;

function readKey(property: string, inputs: Props): KeyObject {
  let key: KeyObject;
  try {
    key = createPrivateKey(String(inputs[property]));
  } catch {
    throw new InputError(property, "is not a private key in PEM format");
  }
  if (key.asymmetricKeyDetails?.namedCurve !== "prime256v1") {
    throw new InputError(property, "the local fake of tls signs with P256 only");
  }
  return key;
}

function cryptoKeys(key: KeyObject): webcrypto.CryptoKeyPair {
  return {
    privateKey: key.toCryptoKey(CURVE, true, ["sign"]),
    publicKey: createPublicKey(key).toCryptoKey(CURVE, true, ["verify"]),
  };
}

function list(value: unknown): string[] {
  return Array.isArray(value) ? value.map(String) : [];
}

function subjectName(subject: unknown): x509.Name {
  const given = (subject ?? {}) as Props;
  return new x509.Name(
    Object.entries(SUBJECT).flatMap(([property, type]) =>
      given[property] ? [{ [type]: [String(given[property])] }] : [],
    ),
  );
}

function alternativeNames(inputs: Props): x509.JsonGeneralNames {
  return [
    ...list(inputs.dnsNames).map((value) => ({ type: "dns" as const, value })),
    ...list(inputs.ipAddresses).map((value) => ({ type: "ip" as const, value })),
  ];
}

interface Template {
  subject: x509.Name;
  subjectKey: x509.PublicKey;
  names: x509.JsonGeneralNames;
  issuer: x509.Name;
  issuerKey: KeyObject;
  /** The issuer's, if it has one. */
  authorityKeyId?: string;
}

/** Signs a certificate as the real provider does: valid from now, with the extensions that Go's x509 package adds. */
async function sign(inputs: Props, template: Template) {
  const uses = list(inputs.allowedUses);
  const keyUse = uses.reduce((flags, use) => flags | (KEY_USES[use] ?? 0), 0);
  const extended = uses.flatMap((use) => EXTENDED_USES[use] ?? []);
  const isCa = inputs.isCaCertificate === true;
  const { subject, subjectKey, names, issuer, issuerKey, authorityKeyId } = template;
  const extensions: x509.Extension[] = [
    ...(keyUse ? [new x509.KeyUsagesExtension(keyUse, true)] : []),
    ...(extended.length > 0 ? [new x509.ExtendedKeyUsageExtension(extended)] : []),
    new x509.BasicConstraintsExtension(isCa, undefined, true),
    ...(isCa || inputs.setSubjectKeyId === true
      ? [await x509.SubjectKeyIdentifierExtension.create(subjectKey)]
      : []),
    ...(authorityKeyId ? [new x509.AuthorityKeyIdentifierExtension(authorityKeyId)] : []),
    ...(names.length > 0
      ? [new x509.SubjectAlternativeNameExtension(names, subject.toJSON().length === 0)]
      : []),
  ];
  const start = new Date(Math.floor(Date.now() / 1000) * 1000);
  const end = new Date(start.getTime() + Number(inputs.validityPeriodHours) * HOUR);
  // Positive and without a leading zero, so that it is the same number in every encoding.
  const serial = randomBytes(16);
  serial[0] = ((serial[0] ?? 0) & 0x3f) | 0x40;
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: serial.toString("hex"),
    subject,
    issuer,
    notBefore: start,
    notAfter: end,
    publicKey: subjectKey,
    signingKey: cryptoKeys(issuerKey).privateKey,
    signingAlgorithm: SIGNING,
    extensions,
  });
  return {
    id: BigInt(`0x${serial.toString("hex")}`).toString(),
    outputs: {
      ...withDefaults(inputs),
      certPem: `${certificate.toString("pem")}\n`,
      validityStartTime: time(start),
      validityEndTime: time(end),
      readyForRenewal: isReady(end, inputs.earlyRenewalHours),
    },
  };
}

function withDefaults(inputs: Props): Props {
  return { isCaCertificate: false, setSubjectKeyId: false, earlyRenewalHours: 0, ...inputs };
}

function time(date: Date): string {
  return date.toISOString().replace(".000Z", "Z");
}

function isReady(end: Date, earlyRenewalHours: unknown): boolean {
  return Date.now() >= end.getTime() - Number(earlyRenewalHours ?? 0) * HOUR;
}

/** A change of any input except `earlyRenewalHours` replaces the certificate, and so does its age. */
function replaceCertificate(olds: Props, news: Props, state: Props): string[] {
  const changed = changes(olds, news).filter((property) => property !== "earlyRenewalHours");
  const early = news.earlyRenewalHours === UNKNOWN ? 0 : news.earlyRenewalHours;
  const due = typeof state.validityEndTime === "string" && isReady(new Date(state.validityEndTime), early);
  return due ? [...changed, "readyForRenewal"] : changed;
}

function checkNames(inputs: Props): Props {
  const { ipAddresses, subject } = inputs;
  for (const [i, address] of (Array.isArray(ipAddresses) ? ipAddresses : []).entries()) {
    if (address !== UNKNOWN && isIP(String(address)) === 0) {
      throw new InputError(`ipAddresses[${i}]`, `is not an IP address: ${JSON.stringify(address)}`);
    }
  }
  for (const part of Object.keys(subject !== UNKNOWN && subject ? subject : {})) {
    if (!(part in SUBJECT)) {
      throw new InputError(`subject.${part}`, "is not supported by the local fake of tls (local/fakes)");
    }
  }
  return inputs;
}

function checkCertificate(inputs: Props): Props {
  const { allowedUses, validityPeriodHours } = inputs;
  for (const use of hasUnknown(allowedUses) ? [] : list(allowedUses)) {
    if (!(use in KEY_USES) && !(use in EXTENDED_USES)) {
      throw new InputError("allowedUses", `${JSON.stringify(use)} is not supported by the local fake of tls`);
    }
  }
  if (validityPeriodHours !== UNKNOWN && !(Number(validityPeriodHours) >= 0)) {
    throw new InputError(
      "validityPeriodHours",
      `must be at least 0, not ${JSON.stringify(validityPeriodHours)}`,
    );
  }
  return inputs;
}

async function updateCertificate(_id: string, olds: Props, news: Props): Promise<Props> {
  const { certPem, keyAlgorithm, caKeyAlgorithm, validityStartTime, validityEndTime } = olds;
  const readyForRenewal = isReady(new Date(String(validityEndTime)), news.earlyRenewalHours);
  const kept = { certPem, keyAlgorithm, caKeyAlgorithm, validityStartTime, validityEndTime };
  return { ...withDefaults(news), ...kept, readyForRenewal };
}

const KEY_INPUTS = ["algorithm", "ecdsaCurve"] as const;

const privateKey: ResourceDefinition = {
  inputs: KEY_INPUTS,
  replaceOn: KEY_INPUTS,
  secrets: ["privateKeyPem", "privateKeyPemPkcs8"],
  check: (inputs) => {
    for (const [property, only] of [
      ["algorithm", "ECDSA"],
      ["ecdsaCurve", "P256"],
    ] as const) {
      if (inputs[property] !== UNKNOWN && inputs[property] !== only) {
        throw new InputError(
          property,
          `is ${JSON.stringify(inputs[property])}; the local fake of tls supports only ${only}`,
        );
      }
    }
    return inputs;
  },
  create: async () => {
    const { privateKey: key, publicKey } = generateKeyPairSync("ec", { namedCurve: "prime256v1" });
    const publicKeyPem = String(publicKey.export({ type: "spki", format: "pem" }));
    return {
      id: createHash("sha1").update(publicKeyPem).digest("hex"),
      outputs: {
        privateKeyPem: String(key.export({ type: "sec1", format: "pem" })),
        privateKeyPemPkcs8: String(key.export({ type: "pkcs8", format: "pem" })),
        publicKeyPem,
      },
    };
  },
};

const REQUEST_INPUTS = ["privateKeyPem", "subject", "dnsNames", "ipAddresses"] as const;

const certRequest: ResourceDefinition = {
  inputs: REQUEST_INPUTS,
  replaceOn: REQUEST_INPUTS,
  secrets: ["privateKeyPem"],
  check: checkNames,
  create: async (inputs) => {
    const names = alternativeNames(inputs);
    const request = await x509.Pkcs10CertificateRequestGenerator.create({
      name: subjectName(inputs.subject),
      keys: cryptoKeys(readKey("privateKeyPem", inputs)),
      signingAlgorithm: SIGNING,
      extensions: names.length > 0 ? [new x509.SubjectAlternativeNameExtension(names)] : [],
    });
    const certRequestPem = `${request.toString("pem")}\n`;
    return {
      id: createHash("sha1").update(certRequestPem).digest("hex"),
      outputs: { keyAlgorithm: "ECDSA", certRequestPem },
    };
  },
};

const CERTIFICATE_INPUTS = [
  ...(["validityPeriodHours", "earlyRenewalHours", "allowedUses"] as const),
  ...(["isCaCertificate", "setSubjectKeyId"] as const),
];

const selfSignedCert: ResourceDefinition = {
  inputs: [...REQUEST_INPUTS, ...CERTIFICATE_INPUTS],
  replaceOn: replaceCertificate,
  secrets: ["privateKeyPem"],
  check: (inputs) => checkCertificate(checkNames(inputs)),
  create: async (inputs) => {
    const issuerKey = readKey("privateKeyPem", inputs);
    const subject = subjectName(inputs.subject);
    const { id, outputs } = await sign(inputs, {
      subject,
      subjectKey: await x509.PublicKey.create(cryptoKeys(issuerKey)),
      names: alternativeNames(inputs),
      issuer: subject,
      issuerKey,
    });
    return { id, outputs: { ...outputs, keyAlgorithm: "ECDSA" } };
  },
  update: updateCertificate,
};

const locallySignedCert: ResourceDefinition = {
  inputs: ["certRequestPem", "caPrivateKeyPem", "caCertPem", ...CERTIFICATE_INPUTS],
  replaceOn: replaceCertificate,
  secrets: ["caPrivateKeyPem"],
  check: checkCertificate,
  create: async (inputs) => {
    const authority = new x509.X509Certificate(String(inputs.caCertPem));
    const request = new x509.Pkcs10CertificateRequest(String(inputs.certRequestPem));
    if (!(await request.verify())) {
      throw new InputError("certRequestPem", "its signature is wrong");
    }
    const names = request.extensions.find((item) => item instanceof x509.SubjectAlternativeNameExtension);
    const { id, outputs } = await sign(inputs, {
      subject: request.subjectName,
      subjectKey: request.publicKey,
      names: names?.names.toJSON() ?? [],
      issuer: authority.subjectName,
      issuerKey: readKey("caPrivateKeyPem", inputs),
      authorityKeyId: authority.getExtension(x509.SubjectKeyIdentifierExtension)?.keyId,
    });
    return { id, outputs: { ...outputs, caKeyAlgorithm: "ECDSA" } };
  },
  update: updateCertificate,
};

export const tls: ProviderDefinition = {
  name: "tls",
  version: "5.6.1",
  resources: {
    "tls:index/privateKey:PrivateKey": privateKey,
    "tls:index/certRequest:CertRequest": certRequest,
    "tls:index/selfSignedCert:SelfSignedCert": selfSignedCert,
    "tls:index/locallySignedCert:LocallySignedCert": locallySignedCert,
  },
  invokes: {},
};
