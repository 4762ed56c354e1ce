import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CreateRoleCommand, IAMClient } from "@aws-sdk/client-iam";
import { Lambda } from "@aws-sdk/client-lambda";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ADMINISTRATOR } from "../../local/aws/administrator";
import { type Emulator, startEmulator } from "../../local/aws/emulator";
import { zip } from "../../local/fakes/aws/lambda";
import { isAlive } from "../../local/process";
import { freePort } from "../freePort";

describe("functions in the emulator", () => {
  let state: string;
  let emulator: Emulator;
  let client: Lambda;

  beforeAll(async () => {
    state = mkdtempSync(join(tmpdir(), "qwen3-functions-"));
    emulator = await startEmulator({
      stateDir: state,
      host: "127.0.0.1",
      port: await freePort(),
      ami: "ami-0",
    });
    const connection = { endpoint: emulator.url, region: "us-east-1", credentials: ADMINISTRATOR };
    client = new Lambda({ ...connection, maxAttempts: 1 });
    const trust = { Version: "2012-10-17", Statement: [] };
    await new IAMClient(connection).send(
      new CreateRoleCommand({ RoleName: "runner", AssumeRolePolicyDocument: JSON.stringify(trust) }),
    );
  });

  afterAll(async () => {
    await emulator?.stop();
    rmSync(state, { recursive: true, force: true });
  });

  /** Creates the function, or changes its code and its timeout. */
  async function write(source: string, Timeout = 5): Promise<void> {
    const FunctionName = "f";
    const ZipFile = zip({ archive: { assets: { "index.mjs": { asset: { text: source } } } } });
    const known = { FunctionName, Timeout, Environment: { Variables: { GIVEN: "yes" } } };
    const { Functions } = await client.listFunctions();
    if (Functions!.length > 0) {
      await client.updateFunctionCode({ FunctionName, ZipFile });
      await client.updateFunctionConfiguration(known);
      return;
    }
    await client.createFunction({
      ...known,
      Code: { ZipFile },
      Handler: "index.handler",
      Role: "arn:aws:iam::123456789012:role/runner",
      Runtime: "nodejs24.x",
    });
  }

  async function invoke(event: unknown, name = "f", by = client) {
    const { Payload, FunctionError } = await by.invoke({
      FunctionName: name,
      Payload: JSON.stringify(event),
    });
    return { answer: JSON.parse(Buffer.from(Payload!).toString()), failed: FunctionError };
  }

  it("run with their variables and a session of their role, in one process until they change", async () => {
    await write(
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
    await write("export const handler = async () => 'changed';");
    expect((await invoke({})).answer).toBe("changed");
  });

  it("fail as Lambda's do, with an error, an exit or a timeout, after which the next call works", async () => {
    await write(
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

  it("end when they are deleted, and can be invoked only with permission", async () => {
    await write("export const handler = async () => process.pid;");
    const { answer: pid } = await invoke({});
    const foreign = new Lambda({
      endpoint: emulator.url,
      region: "us-east-1",
      credentials: { accessKeyId: "AKIASTRANGER", secretAccessKey: "x" },
      maxAttempts: 1,
    });
    await expect(invoke({}, "f", foreign)).rejects.toThrow(/security token/);
    await client.deleteFunction({ FunctionName: "f" });
    await expect.poll(() => isAlive(pid)).toBe(false);
    await expect(invoke({}, "f")).rejects.toThrow(/ResourceNotFound|Function not found: f/);
  });
});
