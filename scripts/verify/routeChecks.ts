import { excerpt } from "../lib/text";
import { apiError, type Call, type EndpointClient, type Reply } from "./client";
import { type Check, expect } from "./row";
import type { Target } from "./target";

/**
 * A sample of SGLang's own routes, and of paths that a loose match would pass to them. They are requested with GET,
 * which shows whether a route exists without harm: POST /generate ends an embedding server.
 */
const CLOSED_PATHS = [
  "/",
  "/generate",
  "/v1/completions",
  "/v1/chat/completions",
  "/v1/rerank",
  "/server_info",
  "/get_server_info",
  "/flush_cache",
  "/metrics",
  "/health_generate",
  "/healthz",
  "/ready",
  "/docs",
  "/openapi.json",
  "/v1/embeddings/",
  "/v1/models/x",
  "/v1/%2e%2e/server_info",
];

const WRONG_METHODS: { method: Call["method"]; path: string; allow: string }[] = [
  { method: "GET", path: "/v1/embeddings", allow: "POST" },
  { method: "DELETE", path: "/v1/embeddings", allow: "POST" },
  { method: "POST", path: "/v1/models", allow: "GET" },
  { method: "PUT", path: "/health", allow: "GET" },
];

/** Which routes exist. */
export function routeChecks(client: EndpointClient, target: Target): Check[] {
  return [
    {
      name: "GET /v1/models lists the model",
      about: "service",
      next: "compare the outputs of the stack with QWEN3_SERVED_MODEL in /etc/qwen3/embed.env on the instance",
      async run() {
        const reply = await client.send({ method: "GET", path: "/v1/models", authorization: "key" });
        const list = reply.json as { object?: string; data?: { id: string }[] } | undefined;
        const ids = Array.isArray(list?.data) ? list.data.map(({ id }) => id) : [];
        expect(
          reply.status === 200 && list?.object === "list" && ids.includes(target.model),
          `${reply.status}: ${excerpt(reply.text)}`,
        );
        return `200, ${ids.join(", ")}`;
      },
    },
    {
      name: "GET /health needs no key",
      about: "service",
      next: "a load balancer or a monitor would see this endpoint as down: check nginx: journalctl --namespace=qwen3 -u nginx",
      async run() {
        const reply = await client.send({ method: "GET", path: "/health" });
        expect(reply.status === 200, `${reply.status}: ${excerpt(reply.text)}`);
        return `200 ${excerpt(reply.text, 60)}`;
      },
    },
    {
      name: "other paths are not found",
      about: "service",
      next: "remove the route from nginx's configuration immediately: SGLang's own routes can stop or change the server",
      async run() {
        const found = await wrongReplies(
          CLOSED_PATHS.map((path) => ({ method: "GET", path, authorization: "key" })),
          (reply) => {
            expect(reply.status === 404, String(reply.status));
            apiError(reply);
          },
        );
        expect(found.length === 0, found.join("; "));
        return `${CLOSED_PATHS.length} of ${CLOSED_PATHS.length} are 404 with a valid key, ${CLOSED_PATHS.slice(1, 4).join(" ")} …`;
      },
    },
    {
      name: "other methods are not allowed",
      about: "service",
      next: "compare the routes in nginx's configuration: POST /v1/embeddings, GET /v1/models, GET /health",
      async run() {
        const allowed = await wrongReplies(
          WRONG_METHODS.map(({ method, path }) => ({ method, path, authorization: "key" })),
          (reply, i) => {
            expect(reply.status === 405, String(reply.status));
            apiError(reply);
            const allow = String(reply.headers.allow ?? "");
            const wanted = WRONG_METHODS[i]?.allow ?? "";
            expect(allow.split(/[\s,]+/).includes(wanted), `405 with Allow: ${allow || "nothing"}`);
          },
        );
        expect(allowed.length === 0, allowed.join("; "));
        return WRONG_METHODS.map(({ method, path }) => `${method} ${path}`)
          .join(", ")
          .concat(" are 405 with Allow");
      },
    },
  ];

  /** Every call whose reply fails the test, with what was seen. */
  async function wrongReplies(calls: Call[], test: (reply: Reply, index: number) => void): Promise<string[]> {
    const replies = await Promise.all(calls.map((call) => client.send(call)));
    return replies.flatMap((reply, i) => {
      try {
        test(reply, i);
        return [];
      } catch (error) {
        return [`${calls[i]?.method} ${calls[i]?.path}: ${(error as Error).message}`];
      }
    });
  }
}
