import { existsSync, readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { GetFunctionConfigurationCommand, LambdaClient } from "@aws-sdk/client-lambda";
import { afterAll, beforeAll, expect, it } from "vitest";
import { ADMINISTRATOR } from "../../../local/aws/administrator";
import type { Environment } from "../../../local/environment";
import { openExample } from "../../../local/example";
import { run } from "../../../local/process";
import { ROOT } from "../../../scripts/lib/paths";
import { EndpointClient } from "../../../scripts/verify/client";
import { cosine } from "../../../scripts/verify/vectors";
import { type ApplicationFolder, npm, variables } from "./folder";

const QUERY = "蝙蝠在黑暗中怎样捕食？";
const INSTRUCTION = "Given a web search query, retrieve relevant passages that answer the query";
const DIMENSIONS = 1024;

interface Resource {
  type: string;
  inputs: Record<string, unknown>;
}

/** examples/app next to the embedding stack, through a rotation. */
export function example(open: () => ApplicationFolder): void {
  let application: ApplicationFolder;
  let environment: Environment;
  let printed: string;

  beforeAll(async () => {
    application = open();
    environment = application.environment;
    printed = await deploy(QUERY);
  });

  afterAll(async () => {
    await deploy("--destroy");
  });

  /** `npm run example`, as a person runs it. */
  function deploy(...args: string[]): Promise<string> {
    return npm("run", "--silent", "example", "--", "--stack", application.name, ...args);
  }

  /** The resources of the application's stack in the engine's state. */
  async function resources(): Promise<Resource[]> {
    const { deployment } = await (await openExample(environment)).exportStack();
    return (deployment as { resources: Resource[] }).resources;
  }

  const functionFolder = () => {
    const folder = join(environment.state, "functions");
    const [name] = existsSync(folder) ? readdirSync(folder) : [];
    return name === undefined ? undefined : join(folder, name);
  };
  /** The function as Lambda describes it. */
  const definition = async () => {
    const client = new LambdaClient({
      endpoint: environment.env.AWS_ENDPOINT_URL,
      region: "us-east-1",
      credentials: ADMINISTRATOR,
    });
    const command = new GetFunctionConfigurationCommand({ FunctionName: basename(functionFolder()!) });
    const { Role = "", RevisionId, CodeSha256, LastModified } = await client.send(command);
    client.destroy();
    return { role: Role, revision: [RevisionId, CodeSha256, LastModified] };
  };
  const instancePid = async () => {
    const processes = (await run("ps", ["-eo", "pid=,args="])).split("\n");
    return processes
      .find((line) => line.includes(join(functionFolder()!, "code")))
      ?.trim()
      .split(" ")[0];
  };
  /** Each read of a secret by the function's role: `200 ARN`. */
  const readings = async () => {
    const [, role] = (await definition()).role.split("/");
    return readFileSync(join(environment.state, "emulator.log"), "utf8")
      .split("\n")
      .filter((line) => line.includes(`${role}/function secretsmanager:`))
      .map((line) => line.replace(/^\S+ (\d+) \S+ (\S+) (\S+)$/, "$1 $2 $3"));
  };

  it("finds documents by the endpoint's vectors, with the instruction for queries only", async () => {
    const documents = readFileSync(join(ROOT, "examples/corpus/corpus.jsonl"), "utf8")
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line).text as string);
    const { endpoint, caCertificate, model } = application.outputs;
    const client = new EndpointClient(
      endpoint,
      caCertificate,
      (await variables(application)).EMBEDDING_API_KEY!,
    );
    const asked = { model, dimensions: DIMENSIONS };
    const { vectors } = await client.embed({ ...asked, input: documents });
    const query = (await client.embed({ ...asked, input: QUERY, instruction: INSTRUCTION })).vectors[0]!;
    await client.close();
    const expected = vectors
      .map((vector, i) => ({ text: documents[i]!, score: cosine(query, vector) }))
      .sort((a, b) => b.score - a.score)
      .slice(0, 3);
    const found = [...printed.matchAll(/^ {2}(\d\.\d{4}) {2}(.+)$/gm)].map(([, score, text]) => ({
      score,
      text,
    }));
    expect(found.map(({ text }) => text)).toEqual(expected.map(({ text }) => text));
    for (const [i, { score }] of found.entries()) {
      expect(Number(score)).toBeCloseTo(expected[i]!.score, 3);
    }
  });

  it("can only read its client's secret and write its own log", async () => {
    const all = await resources();
    const policies = all.filter(({ type }) => type === "aws:iam/rolePolicy:RolePolicy");
    const statements = policies.flatMap(({ inputs }) => JSON.parse(inputs.policy as string).Statement);
    expect(statements).toEqual([
      {
        Sid: "ReadOwnKey",
        Effect: "Allow",
        Action: "secretsmanager:GetSecretValue",
        Resource: application.outputs.secretArn,
      },
      {
        Sid: "WriteLogs",
        Effect: "Allow",
        Action: ["logs:CreateLogStream", "logs:PutLogEvents"],
        Resource: expect.stringMatching(/^arn:aws:logs:us-east-1:\d+:log-group:qwen3-app-[^:*]+:\*$/),
      },
    ]);
    const types = all.map(({ type }) => type).filter((type) => type.startsWith("aws:"));
    expect(types.sort()).toEqual([
      "aws:cloudwatch/logGroup:LogGroup",
      "aws:iam/role:Role",
      "aws:iam/rolePolicy:RolePolicy",
      "aws:lambda/function:Function",
    ]);
  });

  it("changes nothing when it is deployed again", async () => {
    const stack = await openExample(environment);
    const { changeSummary } = await stack.preview({ expectNoChanges: true });
    expect(Object.keys(changeSummary)).toEqual(["same"]);
  });

  it("continues with a rotated key without a new deployment: on a 401 it reads the secret again, once", async () => {
    const before = { pid: await instancePid(), revision: (await definition()).revision };
    expect(before.pid).toBeDefined();
    const read = `200 secretsmanager:GetSecretValue ${application.outputs.secretArn}`;
    expect(await readings()).toEqual([read]);
    const old = (await variables(application)).EMBEDDING_API_KEY!;
    // A key that was rotated twice has no grace period left.
    for (const _ of [1, 2]) {
      await npm("run", "--silent", "rotate", "--", "--stack", application.name, "--yes");
    }
    await refused(old);
    expect(await deploy(QUERY)).toContain(printed.slice(printed.indexOf(QUERY)).trim());
    expect(await readings()).toEqual([read, read]);
    await deploy(QUERY);
    expect(await readings()).toEqual([read, read]);
    expect({ pid: await instancePid(), revision: (await definition()).revision }).toEqual(before);
  });

  it("has no key in its code, its definition, its log or its stack", async () => {
    const files = readdirSync(functionFolder()!, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && !entry.parentPath.includes("node_modules"))
      .map((entry) => join(entry.parentPath, entry.name));
    expect(files.length).toBeGreaterThan(5);
    const texts = [...files.map((file) => readFileSync(file, "utf8")), JSON.stringify(await resources())];
    expect(texts.filter((text) => /qwen3_[0-9A-Za-z]{48}/.test(text))).toEqual([]);
  });

  it("rejects a client that the embedding stack does not have, before it changes anything", async () => {
    const stack = await openExample(environment);
    await stack.setConfig("qwen3-embedding-app:client", { value: "nobody" });
    const refusal = await stack.preview().catch((error: Error) => error.message);
    await stack.removeConfig("qwen3-embedding-app:client");
    expect(refusal).toMatch(/client is "nobody"; the stack \S+ has default/);
  });

  it("leaves nothing behind when it is destroyed", async () => {
    const folder = functionFolder();
    expect(folder).toBeDefined();
    await deploy("--destroy");
    expect(functionFolder()).toBeUndefined();
    await expect.poll(() => run("ps", ["-eo", "args"]), { timeout: 10_000 }).not.toContain(folder);
  });

  /** Waits until the endpoint refuses a key. */
  async function refused(key: string): Promise<void> {
    const client = new EndpointClient(application.outputs.endpoint, application.outputs.caCertificate, key);
    const status = async () => {
      const authorization = "key";
      return (await client.send({ method: "GET", path: "/v1/models", authorization })).status;
    };
    await expect.poll(status, { timeout: 30_000, interval: 500 }).toBe(401);
    await client.close();
  }
}
