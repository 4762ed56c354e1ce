import { createServer } from "node:http";

/**
 * node worker.ts PORT: responds to every request immediately with the same vector of 2560 dimensions as floats. It is a
 * separate process, so that only nginx is measured.
 */
const vector = Array.from({ length: 2560 }, (_, i) => Math.sin(i) / 36);
const body = Buffer.from(
  JSON.stringify({
    object: "list",
    data: [{ object: "embedding", index: 0, embedding: vector }],
    model: "Qwen3-Embedding-4B",
    usage: { prompt_tokens: 32, total_tokens: 32 },
  }),
);

const server = createServer((request, reply) => {
  request.resume().on("end", () => {
    reply
      .writeHead(200, { "content-type": "application/json", "content-length": body.length })
      .end(request.url === "/health" ? '{"status":"ready"}'.padEnd(body.length) : body);
  });
});
server.keepAliveTimeout = 90_000;
server.listen(Number(process.argv[2]), "127.0.0.1");
