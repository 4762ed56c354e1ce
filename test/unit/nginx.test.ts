import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { nginxConf } from "../../components/bundle/nginx";

const config = nginxConf({ workers: 1, maxBodyBytes: 8388608 });

// test/machine/gateway.test.ts shows what nginx does with it.
describe("nginxConf", () => {
  it.each([
    ["one worker", { workers: 1, maxBodyBytes: 8388608 }],
    ["eight workers and larger bodies", { workers: 8, maxBodyBytes: 16777216 }],
  ])("renders %s", (_, options) => {
    expect(nginxConf(options)).toMatchSnapshot();
  });

  it("listens only on 443, with TLS 1.2 and 1.3", () => {
    expect(config.match(/^\s*listen .*$/gm)).toEqual([
      "        listen 443 ssl http2 default_server backlog=4096;",
    ]);
    expect(config).toContain("ssl_protocols TLSv1.2 TLSv1.3;");
  });

  it("passes on only requests for the three routes, two of which require a key", () => {
    const passing = locations(config).filter(({ body }) => body.includes("proxy_pass"));
    expect(passing.map(({ name }) => name)).toEqual([
      "= /pass/v1/embeddings",
      "= /pass/v1/models",
      "= /pass/health",
    ]);
    expect(passing.every(({ body }) => body.includes("internal;"))).toBe(true);
    const routes = locations(config).filter(({ body }) => body.includes("rewrite ^ /pass/"));
    expect(routes.map(({ name }) => name)).toEqual(["= /v1/embeddings", "= /v1/models", "= /health"]);
    expect(routes.map(({ body }) => body.includes("/refuse/unauthorized"))).toEqual([true, true, false]);
  });

  it("passes Authorization to the worker, but not to the log", () => {
    expect(config.match(/^ *proxy_set_header .*$/gm)?.map((line) => line.trim())).toEqual([
      'proxy_set_header Connection "";',
      "proxy_set_header Authorization $http_authorization;",
      "proxy_set_header Host $host;",
      "proxy_set_header X-Request-Id $request_id;",
    ]);
    expect(config.match(/log_format[^;]*/)?.[0]).not.toMatch(/authorization|\$request\b|\$args|\$http_/i);
  });

  it("logs requests to the journals, and of its own messages only those about itself, to one place", () => {
    expect(config.match(/^ *(access|error)_log .*$/gm)?.map((line) => line.trim())).toEqual([
      "error_log stderr warn;",
      "error_log stderr emerg;",
      "access_log syslog:server=unix:/run/systemd/journal.qwen3-requests/dev-log,tag=qwen3_gateway,nohostname qwen3 if=$qwen3_client;",
      "access_log syslog:server=unix:/run/systemd/journal.qwen3-unauthenticated/dev-log,tag=qwen3_gateway,nohostname qwen3 if=$qwen3_unauthenticated_logged;",
    ]);
  });

  it("redirects a status that nginx sets before it counts requests to a path, where they are counted", () => {
    const pages = [...config.matchAll(/^ {8}error_page (.+) (\S+);$/gm)].map(([, codes, to]) => [codes, to]);
    // The others are for requests that were counted.
    expect(pages.filter(([, to]) => to!.startsWith("@"))).toEqual([
      ["429", "@too_many"],
      ["500 502 503 504 =503", "@unavailable"],
    ]);
    for (const { body } of locations(config).filter(({ name }) => name.startsWith("= /refuse/"))) {
      expect(body).toMatch(/^ +internal;\n +try_files \/none @\w+;\n$/);
    }
  });

  it("lists each worker by its port", () => {
    const servers = nginxConf({ workers: 8, maxBodyBytes: 1 }).match(/server 127\.0\.0\.1:\d+/g);
    expect(servers).toEqual(Array.from({ length: 8 }, (_, index) => `server 127.0.0.1:${30000 + index}`));
  });

  it("takes a client's address from a load balancer's header, but only behind one", () => {
    const behind = nginxConf({
      workers: 1,
      maxBodyBytes: 8388608,
      fleet: {
        publishesUtilization: false,
        trustedProxies: ["10.7.0.0/16", "10.8.0.0/16"],
      },
    });
    const added = behind.split("\n").filter((line) => !config.split("\n").includes(line));
    expect(added.map((line) => line.trim())).toEqual([
      "# Limits and log use the client's address, not the load balancer's. The security group allows no other traffic.",
      "set_real_ip_from 10.7.0.0/16;",
      "set_real_ip_from 10.8.0.0/16;",
      "real_ip_header X-Forwarded-For;",
      "real_ip_recursive off;",
      // Longer than the load balancer keeps a connection, so that it never uses one that nginx is closing.
      "keepalive_timeout 330s;",
    ]);
    expect(config).not.toContain("real_ip");
  });

  it("returns every error as JSON in OpenAI's format", () => {
    const bodies = [...config.matchAll(/^\s*return \d+ '(.*)';$/gm)].map(([, body]) => body as string);
    const maps = [...config.matchAll(/^\s*(?:missing|default) '(\{.*\})';$/gm)].map(
      ([, body]) => body as string,
    );
    const literal = [...bodies, ...maps].filter((body) => !body.startsWith("$"));
    expect(literal.length).toBeGreaterThan(8);
    for (const body of literal) {
      expect(Object.keys(JSON.parse(body).error)).toEqual(["message", "type", "param", "code"]);
    }
  });
});

describe("auth.js", () => {
  const script = readFileSync(join(__dirname, "../../machine/gateway/auth.js"), "utf8");

  it("is written for njs 0.7.9: no optional chaining, no classes, no logging", () => {
    expect(script).not.toMatch(/\?\.|\?\?|\bclass\b|\basync\b|\br\.(log|warn|error)\(/);
  });

  it("reads tokens, limits and paths from the contract", () => {
    expect(script).toContain('import contract from "contract.js";');
    expect(script).not.toMatch(/\/run\/|x21|512/);
  });
});

function locations(text: string): { name: string; body: string }[] {
  return [...text.matchAll(/^ {8}location (.+) \{\n([\s\S]*?)^ {8}\}$/gm)].map(([, name, body]) => ({
    name: name as string,
    body: body as string,
  }));
}
