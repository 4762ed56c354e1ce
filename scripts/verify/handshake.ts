import { isIP } from "node:net";
import { connect } from "node:tls";

export const CONNECT_TIMEOUT_MS = 5000;

export interface Handshake {
  authorized: boolean;
  reason: string;
  protocol: string;
  issuer: string;
  validTo: string;
}

/** Host and port of TLS. */
export function addressOf(endpoint: string): { host: string; port: number } {
  const { hostname, port } = new URL(endpoint);
  return { host: hostname.replace(/^\[|\]$/g, ""), port: Number(port || 443) };
}

/** Connects, whether or not the certificate is trusted. */
export function handshake(host: string, port: number, ca: string | string[]): Promise<Handshake> {
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
