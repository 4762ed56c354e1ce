import { request } from "node:http";
import { isIP } from "node:net";
import { connect, rootCertificates } from "node:tls";
import { type Check, expect } from "./row";
import type { Target } from "./target";

const CONNECT_TIMEOUT_MS = 5000;

export interface TransportOptions {
  /** The port for plain HTTP. */
  plainPort?: number;
  /** PEM of the public CAs. Node's own list by default, because a user may have added the stack's CA to theirs. */
  publicRoots?: readonly string[];
}

interface Handshake {
  authorized: boolean;
  reason: string;
  protocol: string;
  issuer: string;
  validTo: string;
}

/** The properties of the connection itself. */
export function transportChecks(
  { endpoint, caCertificate }: Target,
  { plainPort = 80, publicRoots = rootCertificates }: TransportOptions = {},
): Check[] {
  const { hostname, port } = new URL(endpoint);
  const host = hostname.replace(/^\[|\]$/g, "");
  const tlsPort = Number(port || 443);

  const roots = [...publicRoots];
  return [
    caCertificate === ""
      ? {
          name: "public CAs verify TLS",
          next: "check the certificate in ACM and the load balancer's listener: openssl s_client -showcerts",
          async run() {
            const { authorized, reason, protocol, issuer, validTo } = await handshake(host, tlsPort, roots);
            expect(authorized, `not with the public CAs: ${reason}`);
            return `${protocol}, issued by ${issuer} until ${validTo}`;
          },
        }
      : {
          name: "the exported CA alone verifies TLS",
          next: "compare the caCertificate output with the chain that the endpoint sends: openssl s_client -showcerts",
          async run() {
            const exported = await handshake(host, tlsPort, caCertificate);
            expect(exported.authorized, `not with the exported CA: ${exported.reason}`);
            const others = await handshake(host, tlsPort, roots);
            expect(
              !others.authorized,
              "the public CAs verify it as well, so it is not the private CA's certificate",
            );
            return `${exported.protocol}, issued by ${exported.issuer} until ${exported.validTo}; public CAs: ${others.reason}`;
          },
        },
    {
      name: "plain HTTP does not serve",
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

function handshake(host: string, port: number, ca: string | string[]): Promise<Handshake> {
  return new Promise((done, fail) => {
    const socket = connect({
      host,
      port,
      ca,
      servername: isIP(host) ? undefined : host,
      // The socket has the result, including the name check. This distinguishes a rejection from a broken connection.
      rejectUnauthorized: false,
      timeout: CONNECT_TIMEOUT_MS,
    });
    socket.once("secureConnect", () => {
      const { issuer, valid_to: validTo } = socket.getPeerCertificate();
      done({
        authorized: socket.authorized,
        reason: String(socket.authorizationError ?? "verified"),
        protocol: socket.getProtocol() ?? "",
        issuer: String(issuer?.CN ?? ""),
        validTo,
      });
      socket.destroy();
    });
    socket.once("timeout", () => socket.destroy(new Error(`no TLS within ${CONNECT_TIMEOUT_MS} ms`)));
    socket.once("error", fail);
  });
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
