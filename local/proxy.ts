import { Server } from "proxy-chain";

/**
 * Forwards package downloads of local instances, which cannot reach anything beyond their bridge.
 * It is a separate program because it outlives the command that starts it: `proxy.ts HOST PORT`.
 */
async function main(): Promise<void> {
  const [host, port] = process.argv.slice(2);
  const upstream = process.env.HTTPS_PROXY ?? process.env.https_proxy;
  const server = new Server({
    host,
    port: Number(port),
    prepareRequestFunction: () => ({ upstreamProxyUrl: upstream ?? null }),
  });
  await server.listen();
  console.log(`listening on ${host}:${port}`);
}

void main();
