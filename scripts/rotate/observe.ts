import { setTimeout as sleep } from "node:timers/promises";
import { EndpointClient } from "../verify/client";
import { FLEET_AGREES_MS } from "../verify/wait";
import type { Subject } from "./subject";

/** How long instances may take to follow Secrets Manager. They poll every five seconds. */
const FOLLOWED_WITHIN_SECONDS = 30;

const POLL_MS = 500;

/**
 * Waits until the endpoint returns a status for a key, with a fleet for longer than instances take to poll.
 *
 * @param known the state of the key in Secrets Manager, for the error
 * @returns seconds
 */
export async function untilReplied(
  { stack }: Subject,
  key: string,
  status: number,
  known: string,
): Promise<number> {
  const endpoint = new EndpointClient(stack.outputs.endpoint, stack.outputs.caCertificate, key);
  const settled = stack.outputs.autoScalingGroup === undefined ? 0 : FLEET_AGREES_MS;
  const begin = Date.now();
  let since: number | undefined;
  try {
    for (;;) {
      const reply = await endpoint
        .send({ method: "GET", path: "/v1/models", authorization: "key" })
        .catch(() => undefined);
      since = reply?.status === status ? (since ?? Date.now()) : undefined;
      if (since !== undefined && Date.now() - since >= settled) {
        return Math.round((since - begin) / 1000);
      }
      if (Date.now() - begin > FOLLOWED_WITHIN_SECONDS * 1000) {
        throw new Error(
          `${known}, but after ${FOLLOWED_WITHIN_SECONDS} s the endpoint returns ${reply?.status ?? "nothing"} for it ` +
            `instead of ${status}; see \`journalctl --namespace=qwen3 -u qwen3-keys\` on the instance, and docs/guides/key-rotation.md`,
        );
      }
      await sleep(POLL_MS);
    }
  } finally {
    await endpoint.close();
  }
}
