import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CreateRoleCommand, IAMClient } from "@aws-sdk/client-iam";
import { GetFunctionCommand, InvokeCommand, LambdaClient } from "@aws-sdk/client-lambda";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ADMINISTRATOR } from "../../local/aws/administrator";
import { type Emulator, startEmulator } from "../../local/aws/emulator";
import { freePort } from "../freePort";

describe("functions in the emulator", () => {
  let state: string;
  let emulator: Emulator;
  let client: LambdaClient;

  beforeAll(async () => {
    state = mkdtempSync(join(tmpdir(), "qwen3-functions-"));
    emulator = await startEmulator({
      stateDir: state,
      host: "127.0.0.1",
      port: await freePort(),
      ami: "ami-0",
    });
    const connection = { endpoint: emulator.url, region: "us-east-1", credentials: ADMINISTRATOR };
    client = new LambdaClient({ ...connection, maxAttempts: 1 });
    const trust = { Version: "2012-10-17", Statement: [] };
    await new IAMClient(connection).send(
      new CreateRoleCommand({ RoleName: "runner", AssumeRolePolicyDocument: JSON.stringify(trust) }),
    );
  });

  afterAll(async () => {
    await emulator?.stop();
    rmSync(state, { recursive: true, force: true });
  });

  /** Writes a function as the fake AWS provider does (local/fakes/aws/lambda.ts). */
  function write(revision: string, source: string, timeout = 5): void {
    const folder = join(state, "functions", "f");
    const code = join(folder, revision);
    mkdirSync(code, { recursive: true });
    writeFileSync(join(code, "index.mjs"), source);
    const role = "arn:aws:iam::123456789012:role/runner";
    const definition = { revision, node: process.execPath, code, handler: "index.handler", role, timeout };
    writeFileSync(join(folder, "partial"), JSON.stringify({ ...definition, variables: { GIVEN: "yes" } }));
    renameSync(join(folder, "partial"), join(folder, "function.json"));
  }

  async function invoke(event: unknown, name = "f", by = client) {
    const { Payload, FunctionError } = await by.send(
      new InvokeCommand({ FunctionName: name, Payload: JSON.stringify(event) }),
    );
    return { answer: JSON.parse(Buffer.from(Payload!).toString()), failed: FunctionError };
  }

  it("run with their variables and a session of their role, in one process until they change", async () => {
    write(
      "one",
      `let calls = 0;
      export const handler = async ({ add }) => {
        console.log("a line of log");
        const { GIVEN, AWS_REGION, AWS_SESSION_TOKEN, AWS_ENDPOINT_URL } = process.env;
        return { calls: (calls += add), GIVEN, AWS_REGION, session: !!AWS_SESSION_TOKEN, AWS_ENDPOINT_URL };
      };`,
    );
    const first = {
      calls: 1,
      GIVEN: "yes",
      AWS_REGION: "us-east-1",
      session: true,
      AWS_ENDPOINT_URL: emulator.url,
    };
    expect(await invoke({ add: 1 })).toEqual({ answer: first, failed: undefined });
    expect((await invoke({ add: 2 })).answer.calls).toBe(3);
    write("two", "export const handler = async () => 'changed';");
    expect((await invoke({})).answer).toBe("changed");
  });

  it("fail as Lambda's do, with an error, an exit or a timeout, after which the next call works", async () => {
    write(
      "three",
      `export const handler = async (event) => {
        if (event === "exit") process.exit(1);
        if (event === "wait") await new Promise((resolve) => setTimeout(resolve, 60_000));
        if (event === "throw") throw new TypeError("no");
        return "fine";
      };`,
      1,
    );
    const failures = { throw: "TypeError", exit: "Runtime.ExitError", wait: "Sandbox.Timedout" };
    for (const [event, errorType] of Object.entries(failures)) {
      const { answer, failed } = await invoke(event);
      expect([answer.errorType, failed]).toEqual([errorType, "Unhandled"]);
      expect((await invoke("fine")).answer).toBe("fine");
    }
  });

  it("can be invoked only with permission, and no other operation of Lambda is emulated", async () => {
    await expect(invoke({}, "missing")).rejects.toThrow(/ResourceNotFound|Function not found: missing/);
    const stranger = new LambdaClient({
      endpoint: emulator.url,
      region: "us-east-1",
      credentials: { accessKeyId: "AKIASTRANGER", secretAccessKey: "x" },
      maxAttempts: 1,
    });
    await expect(invoke({}, "f", stranger)).rejects.toThrow(/security token/);
    await expect(client.send(new GetFunctionCommand({ FunctionName: "f" }))).rejects.toThrow(
      /not emulated: lambda/,
    );
  });
});
