import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { rolloutCommand } from "../../scripts/rollout/command";
import { FakeAws, type FakeInstance } from "./fakes/aws";
import { runCommand } from "./fakes/environment";

const GROUP = "qwen3-embedding-test";
const NO_CAPACITY =
  "Could not launch On-Demand Instances. InsufficientInstanceCapacity - We currently do not have sufficient g6e.xlarge " +
  "capacity in the Availability Zone you requested (us-east-1a). Launching EC2 instance failed.";

const instance = (id: string, version = "1", state = "InService"): FakeInstance => ({
  ...{ id, version, state, health: "Healthy" },
});

let aws: FakeAws;
let variables: NodeJS.ProcessEnv;

beforeEach(async () => {
  aws = new FakeAws();
  variables = {
    AWS_ENDPOINT_URL: await aws.listen(),
    AWS_ACCESS_KEY_ID: "AKIALOCALADMINISTRATOR",
    AWS_SECRET_ACCESS_KEY: "local",
    ROLLOUT_AUTO_SCALING_GROUP: GROUP,
    ROLLOUT_REGION: "us-east-1",
    ROLLOUT_READY_SECONDS: "1",
    ROLLOUT_CAPACITY: JSON.stringify({
      ...{ purchaseOption: "on-demand", instanceType: "g6e.xlarge", vcpus: 4 },
      ...{ zones: ["us-east-1a"], offered: ["us-east-1a", "us-east-1b"] },
    }),
  };
});

afterEach(() => aws.close());

function rollOut(change: NodeJS.ProcessEnv = {}) {
  return runCommand((context) => rolloutCommand(context, { pollMs: 5 }), [], { ...variables, ...change });
}

describe("rollout", () => {
  it("waits until every instance is in service, and takes no failed launch for the end", async () => {
    const failed = [{ status: "Failed", message: NO_CAPACITY }];
    aws.groups[GROUP] = [
      { desired: 2, version: "1", instances: [] },
      { desired: 2, version: "1", instances: [instance("i-0a", "1", "Pending:Wait")], activities: failed },
      { desired: 2, version: "1", instances: [instance("i-0a")], activities: failed },
      { desired: 2, version: "1", instances: [instance("i-0a"), instance("i-0b")] },
    ];
    const { status, stderr } = await rollOut();
    expect(status, stderr).toBe(0);
    expect(stderr.split("\n").filter(Boolean)).toEqual([
      "waiting: 0 of 2 instances are in service",
      // Once, although the second pass and the third have it.
      expect.stringMatching(/^an instance was not launched, the group tries again: AWS has no on-demand/),
      "waiting: 1 of 2 instances are in service",
      "2 of 2 instances are in service",
    ]);
  });

  it("fails at its own deadline, with the advice that a single instance gets and AWS's words", async () => {
    aws.groups[GROUP] = [
      {
        ...{ desired: 2, version: "1", instances: [instance("i-0a")] },
        activities: [{ status: "Failed", message: NO_CAPACITY }],
      },
    ];
    const { status, stderr } = await rollOut();
    expect(status).toBe(1);
    expect(stderr).toMatch(
      /rollout: 1 of 2 instances are in service, and no other has entered service within 1 s\. AWS has no on-demand capacity for g6e.xlarge now in us-east-1a: set availabilityZone to another zone that offers it \(us-east-1b\).* AWS returned: Could not launch/,
    );
  });

  it("says where to look if no launch failed", async () => {
    aws.groups[GROUP] = [{ desired: 1, version: "1", instances: [instance("i-0a", "1", "Pending:Wait")] }];
    const { status, stderr } = await rollOut();
    expect(status).toBe(1);
    expect(stderr).toMatch(/0 of 1 instances .* No launch failed: .*describe-scaling-activities .*test/);
  });

  it("reports an instance that its lifecycle hook ended", async () => {
    const message = "Lifecycle Action was abandoned: Heartbeat Timeout";
    aws.groups[GROUP] = [
      { desired: 1, version: "1", instances: [], activities: [{ status: "Cancelled", message }] },
    ];
    expect((await rollOut()).stderr).toContain(`AWS returned: ${message}`);
  });

  it("does not count an instance that AWS takes for unhealthy", async () => {
    aws.groups[GROUP] = [
      { desired: 1, version: "1", instances: [{ ...instance("i-0a"), health: "Unhealthy" }] },
    ];
    expect((await rollOut()).stderr).toMatch(/rollout: 0 of 1/);
  });

  it.each([
    ["ROLLOUT_AUTO_SCALING_GROUP", undefined, "is not set; allowed: the name of an Auto Scaling group"],
    ["ROLLOUT_READY_SECONDS", "0", 'is "0"; allowed: a whole number above 0'],
    ["ROLLOUT_CAPACITY", "", 'is ""; allowed: what instances are requested with'],
  ])("refuses %s %s", async (name, value, message) => {
    const { status, stderr } = await rollOut({ [name]: value });
    expect(status).toBe(2);
    expect(stderr).toContain(`${name} ${message}`);
  });

  it("reports what the deployer may not do", async () => {
    aws.errors = [{ action: "DescribeAutoScalingGroups", type: "AccessDenied", message: "not authorized" }];
    const { status, stderr } = await rollOut();
    expect([status, stderr]).toEqual([1, "rollout: not authorized\n"]);
  });
});
