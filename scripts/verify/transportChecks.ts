import { request } from "node:http";
import { rootCertificates } from "node:tls";
import { ownCertificateChecks, publicCertificateChecks } from "./certificateChecks";
import { addressOf, CONNECT_TIMEOUT_MS } from "./handshake";
import { type Check, expect } from "./row";
import type { Target } from "./target";

export interface TransportOptions {
  /** The port for plain HTTP. */
  plainPort?: number;
  /** PEM of the public CAs. Node's own list by default, because a user may have added the stack's CA to theirs. */
  publicRoots?: readonly string[];
}

/** The properties of the connection itself. */
export function transportChecks(
  { endpoint, caCertificate }: Target,
  { plainPort = 80, publicRoots = rootCertificates }: TransportOptions = {},
): Check[] {
  const { host, port: tlsPort } = addressOf(endpoint);
  return [
    ...(caCertificate === ""
      ? publicCertificateChecks(host, tlsPort, [...publicRoots])
      : ownCertificateChecks(host, tlsPort, [...publicRoots], caCertificate)),
    {
      name: "plain HTTP does not serve",
      about: "service",
      next: "close the port in nginx's configuration and the security group: keys would be sent in plain text",
      async run() {
        const [plain, onTls] = await Promise.all([plainGet(host, plainPort), plainGet(host, tlsPort)]);
        expect(typeof plain === "string", `port ${plainPort} returns ${plain} over plain HTTP`);
        expect(typeof onTls === "string" || onTls === 400, `port ${tlsPort} returns ${onTls} to plain HTTP`);
        return `port ${plainPort}: ${plain}; port ${tlsPort}: ${onTls}`;
      },
    },
  ];
}

/** A GET without a key. @returns the status, or why there is none */
function plainGet(host: string, port: number): Promise<number | string> {
  return new Promise((done) => {
    const call = request({ host, port, path: "/v1/models", timeout: CONNECT_TIMEOUT_MS, agent: false });
    call.once("response", (reply) => {
      done(reply.statusCode ?? 0);
      reply.destroy();
    });
    call.once("timeout", () => call.destroy(Object.assign(new Error(), { code: "no response" })));
    call.once("error", (error: NodeJS.ErrnoException) => done(error.code ?? error.message));
    call.end();
  });
}
