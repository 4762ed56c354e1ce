import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { unsupported } from "../../local/preflight";
import { FakeWorker, Gateway, KEY } from "./gateway";

describe.skipIf(unsupported() !== undefined)("the gateway behind a load balancer", () => {
  const worker = new FakeWorker();
  const gateway = new Gateway();

  beforeAll(async () => {
    const fleet = { publishesUtilization: false, trustedProxies: ["127.0.0.0/25"] };
    await gateway.start([await worker.start()], fleet);
    gateway.accept(KEY);
  });
  afterAll(async () => {
    await gateway.stop();
    await worker.stop();
  });

  /** As the load balancer sends it: the address that it saw is the last one. */
  const from = (...forwarded: string[]) => ({ headers: [`X-Forwarded-For: ${forwarded.join(", ")}`] });
  const wrong = { key: "wrong" };

  it("limits unauthenticated requests by the address that the load balancer saw, whatever header they sent", async () => {
    const flood = await Promise.all(
      Array.from({ length: 300 }, (_, index) =>
        gateway.send("GET /v1/models", { ...wrong, ...from(`198.51.100.${index % 200}`, "203.0.113.1") }),
      ),
    );
    expect(flood.filter(({ status }) => status === 429).length).toBeGreaterThan(100);
    // Another client through the same load balancer is not limited, even one that an unauthenticated request named.
    expect((await gateway.send("GET /v1/models", { ...wrong, ...from("203.0.113.2") })).status).toBe(401);
    expect((await gateway.send("GET /v1/models", { ...wrong, ...from("198.51.100.1") })).status).toBe(401);
  });

  it("logs the client's address", async () => {
    await gateway.send("GET /v1/models", from("10.1.1.1", "203.0.113.7"));
    await expect.poll(() => gateway.lines("authenticated").at(-1)?.remote).toBe("203.0.113.7");
  });

  it("ignores the header of a request that does not come from the load balancer", async () => {
    await gateway.send("GET /v1/models", { ...from("203.0.113.8"), address: "127.0.0.200" });
    await expect.poll(() => gateway.lines("authenticated").at(-1)?.remote).toBe("127.0.0.200");
  });
});
