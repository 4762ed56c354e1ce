import { expect, test } from "vitest";
import type { EndpointClient } from "../../scripts/verify/client";
import { waitForKey } from "../../scripts/verify/wait";

/** An endpoint that returns these statuses in turn, and the last one from then on. */
function endpoint(statuses: number[]) {
  let sent = 0;
  const send = async () => ({ status: statuses[Math.min(sent++, statuses.length - 1)] });
  return { client: { send } as unknown as EndpointClient, sent: () => sent };
}

const options = { timeoutMs: 2000, pollMs: 10, progress: () => undefined };

test("one instance has the key with its first response that is not 401", async () => {
  const { client, sent } = endpoint([401, 401, 200]);
  expect(await waitForKey(client, options)).toMatchObject({ ready: true });
  expect(sent()).toBe(3);
});

test("a fleet has the key once no instance returned 401 for a while", async () => {
  const { client, sent } = endpoint([200, 200, 401, 200, 401, 200]);
  const begin = Date.now();
  expect(await waitForKey(client, options, 200)).toMatchObject({ ready: true });
  expect(sent()).toBeGreaterThan(6);
  expect(Date.now() - begin).toBeGreaterThanOrEqual(200);
});

test("a fleet whose instances keep disagreeing is not ready", async () => {
  const disagreeing = Array.from({ length: 1000 }, (_, index) => (index % 2 ? 401 : 200));
  const { client } = endpoint(disagreeing);
  expect(await waitForKey(client, { ...options, timeoutMs: 300 }, 200)).toMatchObject({ ready: false });
});
