import { prepareEdge } from "../../../local/edge";
import { waitUntil } from "../../../local/process";
import type { Processes } from "./processes";

const MAX_BODY_BYTES = 8 << 20;

/**
 * The machine's nginx on this machine's loopback.
 *
 * @param folder its own; holds its keys, in `edgeKeys(folder)`
 * @returns its base URL, and the PEM of its certificate
 */
export async function startEdge(
  processes: Processes,
  folder: string,
  port: number,
  workerPorts: readonly number[],
): Promise<{ url: string; ca: string }> {
  const edge = await prepareEdge(folder, { port, workerPorts, maxBodyBytes: MAX_BODY_BYTES });
  const [file = "", ...args] = edge.command;
  processes.start("nginx", file, args, { PATH: process.env.PATH });
  await waitUntil(() => listens(port), 10_000, "nginx");
  return { url: `https://127.0.0.1:${port}/v1`, ca: edge.certificate };
}

async function listens(port: number): Promise<boolean> {
  return fetch(`http://127.0.0.1:${port}/`).then(
    () => true,
    () => false,
  );
}
