import { afterEach, beforeEach, expect, test } from "vitest";
import { tuneCommand } from "../../scripts/tune/command";
import { FakeAws } from "./fakes/aws";
import { FakeHome, runCommand, stackAnswers, stackOutputs } from "./fakes/environment";

const REPORT = "current   1,000 (×1.00)\nKeep the current arguments\n";

let aws: FakeAws;
let home: FakeHome;

beforeEach(async () => {
  aws = new FakeAws();
  home = new FakeHome(await aws.listen(), stackAnswers(stackOutputs("https://192.0.2.1/v1", "PEM")));
});

afterEach(async () => {
  home.remove();
  await aws.close();
});

function tune(...args: string[]) {
  const argv = ["--stack", "local", ...args];
  return runCommand((context) => tuneCommand(context, { pollMs: 5 }), argv, home.env);
}

test("measures on the stack's instance, waits, and prints the report", async () => {
  aws.errors = [{ action: "GetCommandInvocation", type: "InvocationDoesNotExist" }];
  aws.invocations = [invocation("InProgress"), invocation("Success", REPORT)];
  const { status, stdout } = await tune(
    "--yes",
    "--seconds",
    "5",
    "--candidates",
    "chunk 8192,attention fa3",
  );
  expect(stdout).toBe(REPORT);
  expect(status).toBe(0);
  expect(aws.commands).toEqual([
    {
      instanceId: "i-0123456789abcdef0",
      command: "/usr/local/sbin/qwen3-tune --seconds 5 --candidates 'chunk 8192,attention fa3'",
    },
  ]);
});

test("fails with the instance's error", async () => {
  aws.invocations = [invocation("Failed", "", "--candidates has chunk 1; allowed: tutorial")];
  const { status, stderr } = await tune("--yes", "--candidates", "chunk 1");
  expect(status).toBe(1);
  expect(stderr).toMatch(
    /on i-0123456789abcdef0 ended as Failed: --candidates has chunk 1; allowed: tutorial/,
  );
});

test.each([
  [[], /worker 0 does not serve.*confirm with --yes/],
  [["--yes", "--seconds", "0"], /--seconds is "0"; allowed/],
  [["--yes", "--candidates", "a'; reboot"], /--candidates is "a'; reboot"; allowed/],
  [["--yes", "--instance", "$(reboot)"], /--instance is/],
])("runs nothing on the instance for %j", async (args, message) => {
  const { status, stderr } = await tune(...args);
  expect(status).toBe(2);
  expect(stderr).toMatch(message);
  expect(aws.commands).toEqual([]);
});

function invocation(Status: string, StandardOutputContent = "", StandardErrorContent = "") {
  return { Status, StandardOutputContent, StandardErrorContent };
}
