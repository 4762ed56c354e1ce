import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** PEM texts. */
export interface Certificates {
  ca: string;
  certificate: string;
  key: string;
}

/** How many days certificates are valid. */
export interface Validity {
  ca?: number;
  certificate?: number;
}

/** A private CA and a certificate that it signed for one name, such as `IP:127.0.0.1`. */
export function makeCertificates(
  subjectAltName: string,
  { ca = 100, certificate = 100 }: Validity = {},
  authority = "Test CA",
): Certificates {
  const folder = mkdtempSync(join(tmpdir(), "qwen3-certificates-"));
  const openssl = (...args: string[]) => execFileSync("openssl", args, { cwd: folder, stdio: "pipe" });
  const newKey = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
  try {
    openssl(
      ...["req", "-x509", ...newKey, "-keyout", "ca.key", "-out", "ca.pem"],
      ...["-days", String(ca), "-subj", `/CN=${authority}`],
    );
    openssl("req", "-new", ...newKey, "-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=endpoint");
    writeFileSync(join(folder, "extensions"), `subjectAltName=${subjectAltName}\n`);
    openssl(
      ...["x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial"],
      ...["-out", "server.pem", "-days", String(certificate), "-extfile", "extensions"],
    );
    const read = (name: string) => readFileSync(join(folder, name), "utf8");
    return { ca: read("ca.pem"), certificate: read("server.pem"), key: read("server.key") };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
