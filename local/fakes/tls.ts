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

/**
 * Fake of @pulumi/tls 5.6: keys and certificates. It supports no OpenSSH outputs, no write-only inputs and no
 * certificates for P224 keys.
 */

x509.cryptoProvider.set(webcrypto);

const HOUR = 3_600_000;

const CURVES: Record<string, string> = {
  P224: "secp224r1",
  P256: "prime256v1",
  P384: "secp384r1",
  P521: "secp521r1",
};

/** Curves by OpenSSL's name, with WebCrypto's name and the hash that Go's x509 package uses. */
const SIGNING: Record<string, { namedCurve: string; hash: string }> = {
  prime256v1: { namedCurve: "P-256", hash: "SHA-256" },
  secp384r1: { namedCurve: "P-384", hash: "SHA-384" },
  secp521r1: { namedCurve: "P-521", hash: "SHA-512" },
};

const KEY_USES: Record<string, x509.KeyUsageFlags> = {
  digital_signature: x509.KeyUsageFlags.digitalSignature,
  content_commitment: x509.KeyUsageFlags.nonRepudiation,
  key_encipherment: x509.KeyUsageFlags.keyEncipherment,
  data_encipherment: x509.KeyUsageFlags.dataEncipherment,
  key_agreement: x509.KeyUsageFlags.keyAgreement,
  cert_signing: x509.KeyUsageFlags.keyCertSign,
  crl_signing: x509.KeyUsageFlags.cRLSign,
  encipher_only: x509.KeyUsageFlags.encipherOnly,
  decipher_only: x509.KeyUsageFlags.decipherOnly,
};

const EXTENDED_USES: Record<string, string> = {
  any_extended: "2.5.29.37.0",
  server_auth: "1.3.6.1.5.5.7.3.1",
  client_auth: "1.3.6.1.5.5.7.3.2",
  code_signing: "1.3.6.1.5.5.7.3.3",
  email_protection: "1.3.6.1.5.5.7.3.4",
  ipsec_end_system: "1.3.6.1.5.5.7.3.5",
  ipsec_tunnel: "1.3.6.1.5.5.7.3.6",
  ipsec_user: "1.3.6.1.5.5.7.3.7",
  timestamping: "1.3.6.1.5.5.7.3.8",
  ocsp_signing: "1.3.6.1.5.5.7.3.9",
};

/** The parts of a subject, in the order in which Go's x509 package writes them. */
const SUBJECT: [property: string, oid: string][] = [
  ["country", "2.5.4.6"],
  ["organization", "2.5.4.10"],
  ["organizationalUnit", "2.5.4.11"],
  ["locality", "2.5.4.7"],
  ["province", "2.5.4.8"],
  ["streetAddresses", "2.5.4.9"],
  ["postalCode", "2.5.4.17"],
  ["commonName", "2.5.4.3"],
  ["serialNumber", "2.5.4.5"],
];

function algorithmOf(key: KeyObject): string {
  const algorithms: Record<string, string> = { ec: "ECDSA", rsa: "RSA", ed25519: "ED25519" };
  return algorithms[key.asymmetricKeyType ?? ""] ?? String(key.asymmetricKeyType);
}

function readKey(property: string, inputs: Props): KeyObject {
  try {
    return createPrivateKey(String(inputs[property]));
  } catch {
    throw new InputError(property, "is not a private key in PEM format");
  }
}

interface SigningKeys {
  keys: webcrypto.CryptoKeyPair;
  algorithm: webcrypto.Algorithm | webcrypto.EcdsaParams;
}

async function signingKeys(property: string, key: KeyObject): Promise<SigningKeys> {
  const { algorithm, parameters } = signing(property, key);
  const { subtle } = webcrypto;
  const privateKey = await subtle.importKey(
    "pkcs8",
    key.export({ type: "pkcs8", format: "der" }),
    parameters,
    true,
    ["sign"],
  );
  const publicDer = createPublicKey(key).export({ type: "spki", format: "der" });
  const publicKey = await subtle.importKey("spki", publicDer, parameters, true, ["verify"]);
  return { keys: { privateKey, publicKey }, algorithm };
}

function signing(property: string, key: KeyObject) {
  if (key.asymmetricKeyType === "rsa") {
    const parameters = { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" };
    return { parameters, algorithm: parameters };
  }
  if (key.asymmetricKeyType === "ed25519") {
    return { parameters: { name: "Ed25519" }, algorithm: { name: "Ed25519" } };
  }
  const curve = SIGNING[key.asymmetricKeyDetails?.namedCurve ?? ""];
  if (!curve) {
    throw new InputError(property, "the local fake of tls signs with P256, P384, P521, RSA and ED25519 only");
  }
  return {
    parameters: { name: "ECDSA", namedCurve: curve.namedCurve },
    algorithm: { name: "ECDSA", hash: curve.hash },
  };
}

function list(value: unknown): string[] {
  return Array.isArray(value) ? value.map(String) : [];
}

function subjectName(subject: unknown): x509.Name {
  const given = (subject ?? {}) as Props;
  const parts = SUBJECT.filter(([property]) => given[property] !== undefined && given[property] !== "");
  return new x509.Name(
    parts.map(([property, oid]) => {
      const value = given[property];
      return { [oid]: Array.isArray(value) ? value.map(String) : [String(value)] };
    }),
  );
}

function alternativeNames(inputs: Props): x509.JsonGeneralNames {
  return [
    ...list(inputs.dnsNames).map((value) => ({ type: "dns" as const, value })),
    ...list(inputs.ipAddresses).map((value) => ({ type: "ip" as const, value })),
    ...list(inputs.uris).map((value) => ({ type: "url" as const, value })),
  ];
}

interface Template {
  subject: x509.Name;
  subjectKey: x509.PublicKey;
  names: x509.JsonGeneralNames;
  issuer: x509.Name;
  issuerKey: SigningKeys;
  /** The issuer's key, for the authority key identifier. */
  authorityKey?: x509.PublicKey | string;
}

/** Signs a certificate as the real provider does: valid from now, with the extensions that Go's x509 package adds. */
async function sign(inputs: Props, template: Template) {
  const uses = list(inputs.allowedUses);
  const keyUse = uses.reduce((flags, use) => flags | (KEY_USES[use] ?? 0), 0);
  const extended = uses.flatMap((use) => EXTENDED_USES[use] ?? []);
  const isCa = inputs.isCaCertificate === true;
  const pathLength = typeof inputs.maxPathLength === "number" && isCa ? inputs.maxPathLength : undefined;
  const extensions: x509.Extension[] = [
    ...(keyUse ? [new x509.KeyUsagesExtension(keyUse, true)] : []),
    ...(extended.length > 0 ? [new x509.ExtendedKeyUsageExtension(extended)] : []),
    new x509.BasicConstraintsExtension(isCa, pathLength, true),
  ];
  if (isCa || inputs.setSubjectKeyId === true) {
    extensions.push(await x509.SubjectKeyIdentifierExtension.create(template.subjectKey));
  }
  if (template.authorityKey !== undefined) {
    extensions.push(
      typeof template.authorityKey === "string"
        ? new x509.AuthorityKeyIdentifierExtension(template.authorityKey)
        : await x509.AuthorityKeyIdentifierExtension.create(template.authorityKey),
    );
  }
  if (template.names.length > 0) {
    extensions.push(
      new x509.SubjectAlternativeNameExtension(template.names, template.subject.toJSON().length === 0),
    );
  }
  const start = new Date(Math.floor(Date.now() / 1000) * 1000);
  const end = new Date(start.getTime() + Number(inputs.validityPeriodHours) * HOUR);
  // Positive and without a leading zero, so that it is the same number in every encoding.
  const serial = randomBytes(16);
  serial[0] = ((serial[0] ?? 0) & 0x3f) | 0x40;
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: serial.toString("hex"),
    subject: template.subject,
    issuer: template.issuer,
    notBefore: start,
    notAfter: end,
    publicKey: template.subjectKey,
    signingKey: template.issuerKey.keys.privateKey,
    signingAlgorithm: template.issuerKey.algorithm,
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
    if (!SUBJECT.some(([property]) => property === part)) {
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

const KEY_INPUTS = ["algorithm", "ecdsaCurve", "rsaBits"] as const;

const privateKey: ResourceDefinition = {
  inputs: KEY_INPUTS,
  replaceOn: KEY_INPUTS,
  secrets: ["privateKeyPem", "privateKeyPemPkcs8"],
  check: (inputs) => {
    const { algorithm, ecdsaCurve } = inputs;
    if (algorithm !== UNKNOWN && !["RSA", "ECDSA", "ED25519"].includes(String(algorithm))) {
      throw new InputError("algorithm", `must be RSA, ECDSA or ED25519, not ${JSON.stringify(algorithm)}`);
    }
    if (ecdsaCurve !== undefined && ecdsaCurve !== UNKNOWN && !(String(ecdsaCurve) in CURVES)) {
      throw new InputError("ecdsaCurve", `must be one of ${Object.keys(CURVES).join(", ")}`);
    }
    return inputs;
  },
  create: async (inputs) => {
    const ecdsaCurve = String(inputs.ecdsaCurve ?? "P224");
    const rsaBits = Number(inputs.rsaBits ?? 2048);
    const key = generate(String(inputs.algorithm), ecdsaCurve, rsaBits);
    const pkcs8 = String(key.export({ type: "pkcs8", format: "pem" }));
    const traditional = { ec: "sec1", rsa: "pkcs1", ed25519: "pkcs8" } as const;
    const type = traditional[key.asymmetricKeyType as keyof typeof traditional];
    const publicKeyPem = String(createPublicKey(key).export({ type: "spki", format: "pem" }));
    return {
      id: createHash("sha1").update(publicKeyPem).digest("hex"),
      outputs: {
        ecdsaCurve,
        rsaBits,
        privateKeyPem: String(key.export({ type: type as "pkcs8", format: "pem" })),
        privateKeyPemPkcs8: pkcs8,
        publicKeyPem,
      },
    };
  },
};

function generate(algorithm: string, ecdsaCurve: string, rsaBits: number): KeyObject {
  switch (algorithm) {
    case "RSA":
      return generateKeyPairSync("rsa", { modulusLength: rsaBits }).privateKey;
    case "ECDSA":
      return generateKeyPairSync("ec", { namedCurve: CURVES[ecdsaCurve] ?? "" }).privateKey;
    default:
      return generateKeyPairSync("ed25519").privateKey;
  }
}

const REQUEST_INPUTS = ["privateKeyPem", "subject", "dnsNames", "ipAddresses", "uris"] as const;

const certRequest: ResourceDefinition = {
  inputs: REQUEST_INPUTS,
  replaceOn: REQUEST_INPUTS,
  secrets: ["privateKeyPem"],
  check: checkNames,
  create: async (inputs) => {
    const key = readKey("privateKeyPem", inputs);
    const { keys, algorithm } = await signingKeys("privateKeyPem", key);
    const names = alternativeNames(inputs);
    const request = await x509.Pkcs10CertificateRequestGenerator.create({
      name: subjectName(inputs.subject),
      keys,
      signingAlgorithm: algorithm,
      extensions: names.length > 0 ? [new x509.SubjectAlternativeNameExtension(names)] : [],
    });
    const certRequestPem = `${request.toString("pem")}\n`;
    return {
      id: createHash("sha1").update(certRequestPem).digest("hex"),
      outputs: { keyAlgorithm: algorithmOf(key), certRequestPem },
    };
  },
};

const CERTIFICATE_INPUTS = [
  ...["validityPeriodHours", "earlyRenewalHours", "allowedUses", "isCaCertificate", "maxPathLength"],
  "setSubjectKeyId",
] as const;

const SELF_SIGNED_INPUTS = [...REQUEST_INPUTS, ...CERTIFICATE_INPUTS, "setAuthorityKeyId"] as const;

const selfSignedCert: ResourceDefinition = {
  inputs: SELF_SIGNED_INPUTS,
  replaceOn: replaceCertificate,
  secrets: ["privateKeyPem"],
  check: (inputs) => checkCertificate(checkNames(inputs)),
  create: async (inputs) => {
    const key = readKey("privateKeyPem", inputs);
    const issuerKey = await signingKeys("privateKeyPem", key);
    const subject = subjectName(inputs.subject);
    const subjectKey = await x509.PublicKey.create(issuerKey.keys);
    const names = alternativeNames(inputs);
    const authorityKey = inputs.setAuthorityKeyId === true ? subjectKey : undefined;
    const { id, outputs } = await sign(inputs, {
      subject,
      subjectKey,
      names,
      issuer: subject,
      issuerKey,
      authorityKey,
    });
    return { id, outputs: { setAuthorityKeyId: false, ...outputs, keyAlgorithm: algorithmOf(key) } };
  },
  update: updateCertificate,
};

function requestedNames(request: x509.Pkcs10CertificateRequest): x509.JsonGeneralNames {
  const extension = request.extensions.find((item) => item instanceof x509.SubjectAlternativeNameExtension);
  return extension?.names.toJSON() ?? [];
}

const SIGNED_INPUTS = ["certRequestPem", "caPrivateKeyPem", "caCertPem", ...CERTIFICATE_INPUTS] as const;

const locallySignedCert: ResourceDefinition = {
  inputs: SIGNED_INPUTS,
  replaceOn: replaceCertificate,
  secrets: ["caPrivateKeyPem"],
  check: checkCertificate,
  create: async (inputs) => {
    const key = readKey("caPrivateKeyPem", inputs);
    const issuerKey = await signingKeys("caPrivateKeyPem", key);
    const authority = new x509.X509Certificate(String(inputs.caCertPem));
    const request = new x509.Pkcs10CertificateRequest(String(inputs.certRequestPem));
    if (!(await request.verify())) {
      throw new InputError("certRequestPem", "its signature is wrong");
    }
    const { id, outputs } = await sign(inputs, {
      subject: request.subjectName,
      subjectKey: request.publicKey,
      names: requestedNames(request),
      issuer: authority.subjectName,
      issuerKey,
      authorityKey: authority.getExtension(x509.SubjectKeyIdentifierExtension)?.keyId,
    });
    return { id, outputs: { ...outputs, caKeyAlgorithm: algorithmOf(key) } };
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
