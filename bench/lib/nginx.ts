import { prepareGateway } from "../../local/gateway";
import type { Processes } from "./processes";

const MAX_BODY_BYTES = 8 << 20;

/**
 * An instance's nginx, on this computer's loopback.
 *
 * @param folder a folder of its own, with its keys in `gatewayKeys(folder)`
 * @returns its base URL, and the PEM of its certificate
 */
export async function startGateway(
  processes: Processes,
  folder: string,
  port: number,
  workerPorts: readonly number[],
): Promise<{ url: string; ca: string }> {
  const gateway = await prepareGateway(folder, { port, workerPorts, maxBodyBytes: MAX_BODY_BYTES });
  const [file = "", ...args] = gateway.command;
  processes.start("nginx", file, args, { PATH: process.env.PATH });
  // It returns 400 to plain HTTP on its TLS port.
  await processes.untilReplying("nginx", `http://127.0.0.1:${port}/`, true);
  return { url: `https://127.0.0.1:${port}/v1`, ca: gateway.certificate };
}
