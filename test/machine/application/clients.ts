import { spawn } from "node:child_process";
import { copyFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { ROOT } from "../../../scripts/lib/paths";
import { EndpointClient } from "../../../scripts/verify/client";
import { cosine, decodeBase64 } from "../../../scripts/verify/vectors";
import { type ApplicationFolder, variables } from "./folder";
import { examplesPython, nodePackages } from "./packages";
import { type Exchange, Recorder } from "./recorder";

const CLIENTS = join(ROOT, "examples", "clients");
const DRIVERS = __dirname;
const INSTRUCTION = "Given a web search query, retrieve relevant passages that answer the query";
/** The dimensions that the snippets request. */
const DIMENSIONS = 1024;
const QUERY = "What is the capital\nof China?";
/** More than one batch of 256, in both languages, with line breaks. */
const DOCUMENTS = Array.from({ length: 300 }, (_, i) =>
  i % 2 ? `第${i}个文档\n苹果` : `document ${i}\napples`,
);
const SNIPPETS = [
  "openai_python.py",
  "langchain_python.py",
  "llamaindex_python.py",
  "openai_node.mjs",
  "langchain_node.mjs",
  "vercel_ai.mjs",
];

interface Embedded {
  documents: number[][];
  query: number[];
}

interface Ended {
  status: number | null;
  stdout: string;
  stderr: string;
}

/** The snippets of examples/clients with the official packages, and the defaults of these packages. */
export function clients(open: () => ApplicationFolder): void {
  let application: ApplicationFolder;
  let recorder: Recorder;
  let python: string;
  /** Copies of the modules for Node, next to the packages that they import. */
  let folder: string;
  /** The variables as `npm run env` prints them, and with the recorder in place of the endpoint. */
  let direct: Record<string, string>;
  let recorded: Record<string, string>;

  beforeAll(async () => {
    application = open();
    python = await examplesPython();
    folder = mkdtempSync(join(tmpdir(), "qwen3-clients-"));
    symlinkSync(join(await nodePackages(), "node_modules"), join(folder, "node_modules"));
    for (const place of [CLIENTS, DRIVERS]) {
      for (const file of readdirSync(place).filter((name) => name.endsWith(".mjs"))) {
        copyFileSync(join(place, file), join(folder, file));
      }
    }
    recorder = new Recorder(application.outputs.endpoint, application.outputs.caCertificate);
    direct = await variables(application);
    recorded = { ...direct, EMBEDDING_API_BASE: await recorder.listen() };
  });

  afterAll(async () => {
    await recorder?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  beforeEach(() => {
    recorder.exchanges.length = 0;
    recorder.refusals.length = 0;
  });

  /** Runs a program with only these variables, without any variable of this process that a client might read. */
  function run(
    [file, ...args]: [string, ...string[]],
    given: Record<string, string>,
    input = "",
  ): Promise<Ended> {
    const env = {
      PATH: process.env.PATH,
      HOME: folder,
      PYTHONPATH: CLIENTS,
      PYTHONDONTWRITEBYTECODE: "1",
      ...given,
    };
    return new Promise((resolve, reject) => {
      const child = spawn(file, args, { cwd: folder, env, stdio: ["pipe", "pipe", "pipe"] });
      const ended: Ended = { status: null, stdout: "", stderr: "" };
      child.stdout.setEncoding("utf8").on("data", (text: string) => {
        ended.stdout += text;
      });
      child.stderr.setEncoding("utf8").on("data", (text: string) => {
        ended.stderr += text;
      });
      child.on("error", reject);
      child.on("close", (status) => resolve({ ...ended, status }));
      child.stdin.on("error", () => undefined);
      child.stdin.end(input);
    });
  }

  const program = (name: string): [string, ...string[]] =>
    name.endsWith(".py") ? [python, join(CLIENTS, name)] : [process.execPath, join(folder, name)];

  /** A snippet's vectors of documents and a query. */
  async function embed(snippet: string, variables: Record<string, string>, documents: string[]) {
    const [runtime, file] = program(snippet);
    const driver = snippet.endsWith(".py")
      ? [join(DRIVERS, "drive.py"), snippet.replace(".py", "")]
      : [join(folder, "drive.mjs"), file!];
    const asked = JSON.stringify({ documents, query: QUERY });
    const { status, stdout, stderr } = await run([runtime, ...driver], variables, asked);
    expect(status, stderr).toBe(0);
    return JSON.parse(stdout) as Embedded;
  }

  /** One call of a client with its defaults. */
  function callDefault(name: string, language: "python" | "node"): Promise<Ended> {
    const command: [string, ...string[]] =
      language === "python"
        ? [python, join(DRIVERS, "defaults.py"), name]
        : [process.execPath, join(folder, "defaults.mjs"), name];
    return run(command, { ...recorded, TIKTOKEN_CACHE_DIR: tiktokenCache(python) });
  }

  const inputs = () => recorder.exchanges.map(({ request }) => request.input as string[]);

  describe.each(SNIPPETS)("%s", (snippet) => {
    it("gets the endpoint's vectors over TLS with only the stack's CA, and the query's with the instruction", async () => {
      const { documents, query } = await embed(snippet, direct, DOCUMENTS.slice(0, 4));
      const key = direct.EMBEDDING_API_KEY!;
      const endpoint = new EndpointClient(
        application.outputs.endpoint,
        application.outputs.caCertificate,
        key,
      );
      const asked = { model: application.outputs.model, dimensions: DIMENSIONS };
      const expected = await endpoint.embed({ ...asked, input: DOCUMENTS.slice(0, 4) });
      const instructed = await endpoint.embed({ ...asked, input: QUERY, instruction: INSTRUCTION });
      const plain = await endpoint.embed({ ...asked, input: QUERY });
      await endpoint.close();
      for (const [i, vector] of documents.entries()) {
        expect(vector).toHaveLength(DIMENSIONS);
        expect(cosine(vector, expected.vectors[i]!)).toBeGreaterThan(0.99999);
      }
      expect(cosine(query, instructed.vectors[0]!)).toBeGreaterThan(0.99999);
      expect(cosine(query, plain.vectors[0]!)).toBeLessThan(0.9999);
    });

    it("sends unchanged texts in batches, retries after temporary errors, and gets each number bit for bit", async () => {
      recorder.refusals.push(429, 503);
      const { documents, query } = await embed(snippet, recorded, DOCUMENTS);
      expect(recorder.refusals).toEqual([]);
      const asked = recorder.exchanges.map(({ request }) => request);
      const last = asked.pop()!;
      expect(asked.length).toBe(snippet === "vercel_ai.mjs" ? 1 : 2);
      expect(asked.flatMap(({ input }) => input).sort()).toEqual([...DOCUMENTS].sort());
      expect(asked.filter((request) => "instruction" in request)).toEqual([]);
      expect([last, ...asked].map(({ dimensions }) => dimensions)).toEqual(
        [last, ...asked].map(() => DIMENSIONS),
      );
      expect([INSTRUCTION, `Instruct: ${INSTRUCTION}\nQuery:${QUERY}`]).toContain(
        last.instruction ?? last.input,
      );
      const sent = new Map(recorder.exchanges.flatMap(textsAndVectors));
      for (const [i, text] of DOCUMENTS.entries()) {
        expect(documents[i]!.map(Math.fround)).toEqual(sent.get(text));
      }
      expect(query.map(Math.fround)).toEqual([...sent.values()].at(-1));
    });

    it("runs as a program", async () => {
      const { status, stdout, stderr } = await run(program(snippet), direct);
      expect(status, stderr).toBe(0);
      expect(stdout).toMatch(/^-?[01]\.\d{4} +(The capital of China is Beijing\.|重力使苹果落地。)$/m);
      expect(stdout + stderr).not.toContain(direct.EMBEDDING_API_KEY);
    });
  });

  it("floats and base64 of a text are the same float32 numbers", async () => {
    const { endpoint, caCertificate, model } = application.outputs;
    const client = new EndpointClient(endpoint, caCertificate, direct.EMBEDDING_API_KEY!);
    const asked = { model, input: QUERY };
    const floats = await client.embed({ ...asked, encoding_format: "float" });
    const base64 = await client.embed({ ...asked, encoding_format: "base64" });
    await client.close();
    expect([floats.base64, base64.base64]).toEqual([false, true]);
    expect(floats.vectors[0]!.map(Math.fround)).toEqual(base64.vectors[0]);
  });

  it("curl.sh prints the endpoint's response, and retries after temporary errors", async () => {
    const command: [string, ...string[]] = ["bash", join(CLIENTS, "curl.sh")];
    recorder.refusals.push(429);
    for (const variables of [direct, recorded]) {
      const { status, stdout, stderr } = await run(command, variables);
      expect(status, stderr).toBe(0);
      const { data } = JSON.parse(stdout) as Exchange["answer"];
      expect(data?.map(({ embedding }) => embedding.length)).toEqual([DIMENSIONS, DIMENSIONS]);
    }
    expect(recorder.exchanges[0]!.request.instruction).toBe(INSTRUCTION);
  });

  describe("the defaults that docs/guides/clients.md describes", () => {
    it("openai for Python requests base64 in one request, and rejects fields that it does not know", async () => {
      expect((await callDefault("openai", "python")).status).toBe(0);
      expect(recorder.exchanges.map(({ request }) => request.encoding_format)).toEqual(["base64"]);
      expect((await callDefault("openai_unknown_field", "python")).stderr).toMatch(/TypeError.*instruction/);
    });

    it("openai for Node requests base64 in one request, and passes on fields that it does not know", async () => {
      expect((await callDefault("openai", "node")).status).toBe(0);
      const [{ request }] = recorder.exchanges as [Exchange];
      expect(request).toMatchObject({ encoding_format: "base64", instruction: "Find it" });
      expect(request.input).toHaveLength(11);
    });

    it("LangChain for Python sends another tokenizer's token IDs, and the server's error names the option to set", async () => {
      const { status, stderr } = await callDefault("langchain", "python");
      expect(status).toBe(1);
      const [{ request, status: refused }] = recorder.exchanges as [Exchange];
      expect((request.input as number[][])[0]!.every(Number.isInteger)).toBe(true);
      expect(refused).toBe(400);
      expect(stderr).toMatch(/BadRequestError.*check_embedding_ctx_length=False/);
    });

    it("LangChain for Python sends unchanged texts in batches of 1000 once that option is set", async () => {
      expect((await callDefault("langchain_with_texts", "python")).status).toBe(0);
      expect(inputs().map((input) => [input.length, input[0]])).toEqual([
        [1000, "a\nb"],
        [1, "a\nb"],
      ]);
      expect(recorder.exchanges[0]!.request.encoding_format).toBe("base64");
    });

    it("LangChain for Python accepts extra fields in model_kwargs", async () => {
      expect((await callDefault("langchain_model_kwargs", "python")).status).toBe(0);
      expect(recorder.exchanges[0]!.request.instruction).toBe("Find it");
    });

    it.each([
      ["openai_key_function", "python"],
      ["openaiKeyFunction", "node"],
    ] as const)("%s for %s: a function for the key is called for each request", async (name, language) => {
      expect((await callDefault(name, language)).status).toBe(0);
      expect(recorder.exchanges.map(({ status }) => status)).toEqual([401, 200]);
    });

    it("LlamaIndex's OpenAILikeEmbedding replaces line breaks, sends batches of 10 and queries as documents, and tries 10 times", async () => {
      const { status, stdout } = await callDefault("llamaindex", "python");
      expect([status, stdout]).toEqual([0, "10\n"]);
      expect(inputs().map((input) => input.length)).toEqual([10, 1, 1]);
      expect(inputs().map(([text]) => text)).toEqual(["line 0 another", "line 10 another", "line 0 another"]);
      expect(recorder.exchanges[0]!.request.encoding_format).toBe("base64");
    });

    it("LangChain for Node replaces line breaks with spaces, sends batches of 512, and retries 6 times", async () => {
      const { status, stdout } = await callDefault("langchain", "node");
      expect([status, stdout]).toEqual([0, "6\n"]);
      expect(inputs()[0]![0]).toBe("line 0 another");
      expect(
        inputs()
          .slice(1)
          .map((input) => input.length)
          .sort(),
      ).toEqual([1, 512]);
      expect(recorder.exchanges[0]!.request.encoding_format).toBe("base64");
    });

    it("Vercel's AI SDK requests floats in batches of 2048, and drops an instruction from providerOptions", async () => {
      expect((await callDefault("vercel", "node")).status).toBe(0);
      const [{ request }] = recorder.exchanges as [Exchange];
      expect(request).toMatchObject({ encoding_format: "float", dimensions: 768 });
      expect(request).not.toHaveProperty("instruction");
      expect(
        inputs()
          .slice(1)
          .map((input) => input.length)
          .sort(),
      ).toEqual([1, 2048]);
    });

    it.each([
      ["openai", "python"],
      ["langchain_with_texts", "python"],
      ["openai", "node"],
      ["vercel", "node"],
    ] as const)("%s for %s retries twice", async (name, language) => {
      recorder.refusals.push(429, 429, 503);
      expect((await callDefault(name, language)).status).toBe(1);
      expect([recorder.refusals, recorder.exchanges]).toEqual([[], []]);
    });

    it("one variable makes a whole process trust the CA, and without it the endpoint is not trusted", async () => {
      const calls = [
        { command: [python, join(DRIVERS, "defaults.py"), "openai"], variable: "SSL_CERT_FILE" },
        {
          command: [process.execPath, join(folder, "defaults.mjs"), "openai"],
          variable: "NODE_EXTRA_CA_CERTS",
        },
      ];
      for (const { command, variable } of calls as { command: [string, ...string[]]; variable: string }[]) {
        const trusted = await run(command, { ...direct, [variable]: direct.EMBEDDING_CA_FILE! });
        expect(trusted.status, trusted.stderr).toBe(0);
        const untrusted = await run(command, direct);
        expect(untrusted.status).toBe(1);
        expect(untrusted.stderr).toMatch(/connection error/i);
      }
    });
  });
}

/** Each text of a request and its vector in the response, as float32. */
function textsAndVectors({ request, answer }: Exchange): [string, number[]][] {
  const texts = [request.input].flat() as string[];
  return texts.map((text, i) => {
    const { embedding } = answer.data![i]!;
    const vector = typeof embedding === "string" ? decodeBase64(embedding) : embedding.map(Math.fround);
    return [text, vector];
  });
}

/** OpenAI's cl100k_base, which LlamaIndex's package contains. tiktoken would download it. */
function tiktokenCache(python: string): string {
  const lib = join(python, "..", "..", "lib");
  const version = readdirSync(lib).find((name) => name.startsWith("python3"))!;
  const cache = join(lib, version, "site-packages/llama_index/core/_static/tiktoken_cache");
  expect(readFileSync(join(cache, "9b5ad71b2ce5302211f9c61530b329a4922fc6a4")).length).toBeGreaterThan(1e6);
  return cache;
}
