import { createServer, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { Embeddings } from "../../examples/app/service/embeddings.mjs";
import { Index } from "../../examples/app/service/search.mjs";
import { type Certificates, makeCertificates } from "./fakes/certificates";

/** The next responses, in order. Without any, 200 with a vector per text. */
type Refusal = { status: number; retryAfter?: string };

describe("the example application's service", () => {
  let certificates: Certificates;
  let server: Server;
  let baseUrl: string;
  let embeddings: Embeddings;
  const refusals: Refusal[] = [];
  const requests: { key: string; body: Record<string, unknown> & { input: string[] } }[] = [];
  const keys: string[] = [];
  let current = "";

  beforeAll(async () => {
    certificates = makeCertificates("IP:127.0.0.1");
    server = createServer(
      { cert: certificates.certificate, key: certificates.key },
      async (request, reply) => {
        const body = JSON.parse((await request.setEncoding("utf8").toArray()).join(""));
        const key = request.headers.authorization?.replace("Bearer ", "") ?? "";
        requests.push({ key, body });
        const refusal = refusals.shift() ?? { status: key === current ? 200 : 401 };
        reply.statusCode = refusal.status;
        if (refusal.retryAfter) {
          reply.setHeader("Retry-After", refusal.retryAfter);
        }
        const data = body.input.map((text: string) => ({ embedding: [text.length, 1] }));
        reply.end(JSON.stringify(refusal.status === 200 ? { data } : { error: { message: "no" } }));
      },
    );
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    baseUrl = `https://127.0.0.1:${(server.address() as AddressInfo).port}/v1`;
  });

  afterAll(() => new Promise((resolve) => server.close(resolve)));

  beforeEach(() => {
    requests.length = 0;
    refusals.length = 0;
    keys.length = 0;
    current = "first";
    embeddings = new Embeddings({
      baseUrl,
      model: "m",
      ca: certificates.ca,
      readKey: async () => {
        keys.push(current);
        return current;
      },
    });
  });

  afterEach(() => embeddings.close());

  it("reads the key once for many requests", async () => {
    await embeddings.embed(["a"]);
    expect(await embeddings.embed(["a", "bb"])).toEqual([
      [1, 1],
      [2, 1],
    ]);
    expect(keys).toEqual(["first"]);
  });

  it("reads it again when it is refused, and retries once with it", async () => {
    await embeddings.embed(["a"]);
    current = "second";
    expect(await embeddings.embed(["a"])).toEqual([[1, 1]]);
    expect(keys).toEqual(["first", "second"]);
    expect(requests.map(({ key }) => key)).toEqual(["first", "first", "second"]);
  });

  it("fails if the key that it has just read is refused too", async () => {
    refusals.push({ status: 401 }, { status: 401 });
    await expect(embeddings.embed(["a"])).rejects.toThrow("returned 401: no");
    expect(requests).toHaveLength(2);
  });

  it("retries temporary errors after Retry-After, a limited number of times", async () => {
    refusals.push({ status: 429, retryAfter: "0" }, { status: 503, retryAfter: "0" });
    expect(await embeddings.embed(["a"])).toEqual([[1, 1]]);
    refusals.push(...Array(4).fill({ status: 429, retryAfter: "0" }));
    await expect(embeddings.embed(["a"])).rejects.toThrow("returned 429");
  });

  it("trusts only the stack's certificate authority", async () => {
    const other = makeCertificates("IP:127.0.0.1");
    const distrusting = new Embeddings({ baseUrl, model: "m", ca: other.ca, readKey: async () => current });
    await expect(distrusting.embed(["a"])).rejects.toThrow(/self-signed|unable to verify|signature/);
    distrusting.close();
  });

  it("embeds documents in batches without an instruction and queries with one", async () => {
    const documents = Array.from({ length: 150 }, (_, i) => "x".repeat(i + 1));
    const index = await Index.of(embeddings, documents);
    expect(requests.map(({ body }) => body.input.length)).toEqual([100, 50]);
    expect(requests.every(({ body }) => !("instruction" in body))).toBe(true);
    const results = await index.search("query", 2);
    expect(results.map(({ text }) => text?.length)).toEqual([150, 149]);
    expect(requests.at(-1)?.body).toMatchObject({
      dimensions: requests[0]?.body.dimensions,
      instruction: expect.stringMatching(/\S/),
    });
  });
});
