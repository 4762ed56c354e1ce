import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { rolloutCommand } from "../../scripts/rollout/command";
import { FakeAws, type FakeGroup, type FakeInstance, TEMPLATE } from "./fakes/aws";
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
    ROLLOUT_TEMPLATE_ID: TEMPLATE,
    ROLLOUT_TEMPLATE_VERSION: "1",
    ROLLOUT_ALARMS: "qwen3-errors-1 qwen3-unhealthy-1",
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

/** The states of a group without a change of its template, one for each pass. */
function passes(...states: FakeGroup[]): void {
  aws.groups[GROUP] = states.map((state) => ({ ...state, until: "DescribeScalingActivities" }));
}

/** The actions that change something, in order. */
function changes(): string[] {
  return aws.requests.map(({ Action }) => Action!).filter((action) => !action.startsWith("Describe"));
}

describe("rollout", () => {
  it("waits until every instance is in service, and takes no failed launch for the end", async () => {
    const failed = [{ status: "Failed", message: NO_CAPACITY }];
    passes(
      { desired: 2, version: "1", instances: [] },
      { desired: 2, version: "1", instances: [instance("i-0a", "1", "Pending:Wait")], activities: failed },
      { desired: 2, version: "1", instances: [instance("i-0a")], activities: failed },
      { desired: 2, version: "1", instances: [instance("i-0a"), instance("i-0b")] },
    );
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
    passes({
      ...{ desired: 2, version: "1", instances: [instance("i-0a")] },
      activities: [{ status: "Failed", message: NO_CAPACITY }],
    });
    const { status, stderr } = await rollOut();
    expect(status).toBe(1);
    expect(stderr).toMatch(
      /rollout: 1 of 2 instances are in service, and no other has entered service within 1 s\. AWS has no on-demand capacity for g6e.xlarge now in us-east-1a: set availabilityZone to another zone that offers it \(us-east-1b\).* AWS returned: Could not launch/,
    );
  });

  it("says where to look if no launch failed", async () => {
    passes({ desired: 1, version: "1", instances: [instance("i-0a", "1", "Pending:Wait")] });
    const { status, stderr } = await rollOut();
    expect(status).toBe(1);
    expect(stderr).toMatch(/0 of 1 instances .* No launch failed: .*describe-scaling-activities .*test/);
  });

  it("reports an instance that its lifecycle hook ended", async () => {
    const message = "Lifecycle Action was abandoned: Heartbeat Timeout";
    passes({ desired: 1, version: "1", instances: [], activities: [{ status: "Cancelled", message }] });
    expect((await rollOut()).stderr).toContain(`AWS returned: ${message}`);
  });

  it("does not count an instance that AWS takes for unhealthy", async () => {
    passes({ desired: 1, version: "1", instances: [{ ...instance("i-0a"), health: "Unhealthy" }] });
    expect((await rollOut()).stderr).toMatch(/rollout: 0 of 1/);
  });

  it.each([
    ["ROLLOUT_TEMPLATE_VERSION", "$Latest", 'is "$Latest"; allowed: the number of a version'],
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

describe("a changed launch template", () => {
  const old = ["i-0a", "i-0b"].map((id) => instance(id, "1"));
  const current = ["i-0c", "i-0d"].map((id) => instance(id, "2"));
  const before = { desired: 2, version: "1", instances: old };
  const after = { desired: 2, version: "2", instances: current };
  const update = { ROLLOUT_TEMPLATE_VERSION: "2" };

  beforeEach(() => {
    aws.templates = { 1: "ami-1", 2: "ami-2", 3: "ami-1" };
  });

  it("is rolled out by a refresh that AWS can roll back: the group still has the former version", async () => {
    aws.groups[GROUP] = [
      before,
      { ...before, refresh: { status: "InProgress" } },
      { ...before, instances: [old[0]!, current[0]!], refresh: { status: "InProgress", percent: 50 } },
      { ...before, instances: current, refresh: { status: "Baking", percent: 100 } },
      { ...after, refresh: { status: "Successful", percent: 100 } },
    ];
    const { status, stderr } = await rollOut(update);
    expect(status, stderr).toBe(0);
    expect(changes()).toEqual(["StartInstanceRefresh"]);
    expect(aws.requests.find(({ Action }) => Action === "StartInstanceRefresh")).toMatchObject({
      AutoScalingGroupName: GROUP,
      "DesiredConfiguration.LaunchTemplate.LaunchTemplateId": TEMPLATE,
      "DesiredConfiguration.LaunchTemplate.Version": "2",
      "Preferences.AutoRollback": "true",
      "Preferences.BakeTime": "600",
      "Preferences.SkipMatching": "true",
      "Preferences.MinHealthyPercentage": "100",
      "Preferences.MaxHealthyPercentage": "150",
      "Preferences.InstanceWarmup": "60",
      "Preferences.AlarmSpecification.Alarms.member.1": "qwen3-errors-1",
      "Preferences.AlarmSpecification.Alarms.member.2": "qwen3-unhealthy-1",
    });
    expect(stderr.split("\n").filter(Boolean)).toEqual([
      expect.stringMatching(
        /^instances are replaced one after another, version 1 .* by 2; the group keeps the former/,
      ),
      "replacement of instances: InProgress, 0 %",
      "replacement of instances: InProgress, 50 %",
      "replacement of instances: Baking, 100 %",
      "replacement of instances: Successful, 100 %",
      "2 of 2 instances are in service",
    ]);
  });

  it("fails with AWS's reason, and the version that serves, if AWS rolled back", async () => {
    const reason = "Alarm qwen3-errors-1 is in ALARM state";
    aws.groups[GROUP] = [
      before,
      { ...before, refresh: { status: "InProgress", percent: 50 } },
      { ...before, refresh: { status: "RollbackInProgress", percent: 50, reason } },
      { ...before, refresh: { status: "RollbackSuccessful", percent: 50, reason } },
    ];
    const { status, stderr } = await rollOut(update);
    expect(status).toBe(1);
    expect(stderr).toContain(
      `rollout: the replacement of the instances ended as RollbackSuccessful: ${reason}. The group has version 1 of its ` +
        "launch template, and not 2.",
    );
    expect(changes()).toEqual(["StartInstanceRefresh"]);
  });

  it("rolls back itself if no instance becomes ready, with the reason of the failed launch", async () => {
    const activities = [
      { status: "Cancelled", message: "Lifecycle Action was abandoned: Heartbeat Timeout" },
    ];
    aws.groups[GROUP] = [before, { ...before, activities, refresh: { status: "InProgress" } }];
    aws.onRequest = ({ Action }) => {
      if (Action === "RollbackInstanceRefresh") {
        aws.groups[GROUP] = [{ ...before, activities, refresh: { status: "RollbackSuccessful" } }];
      }
    };
    const { status, stderr } = await runCommand(
      (context) => rolloutCommand(context, { pollMs: 5, nextMs: 0 }),
      [],
      { ...variables, ...update },
    );
    expect(status).toBe(1);
    expect(changes()).toEqual(["StartInstanceRefresh", "RollbackInstanceRefresh"]);
    expect(stderr).toMatch(
      /ended as RollbackSuccessful: no further instance was replaced within 1 s\. The group has version 1 .* Heartbeat Timeout/,
    );
  });

  it("replaces nothing if it is what the group has: after a change that was reverted", async () => {
    aws.groups[GROUP] = [before];
    const { status, stderr } = await rollOut({ ROLLOUT_TEMPLATE_VERSION: "3" });
    expect(status, stderr).toBe(0);
    expect(changes()).toEqual([]);
    expect(stderr).toContain("the group's version 1 of the launch template has the same contents");
  });

  it("continues the refresh that an interrupted update began", async () => {
    aws.groups[GROUP] = [
      { ...before, refresh: { status: "InProgress", percent: 50 } },
      { ...after, refresh: { status: "Successful", percent: 100 } },
    ];
    expect((await rollOut(update)).status).toBe(0);
    expect(changes()).toEqual([]);
  });

  it("cancels a refresh for another template first", async () => {
    aws.groups[GROUP] = [
      { ...before, refresh: { status: "InProgress", version: "9" } },
      { ...before, refresh: { status: "Cancelling", version: "9" } },
      { ...before, refresh: { status: "Cancelled", version: "9" } },
      { ...before, refresh: { status: "InProgress" } },
      { ...after, refresh: { status: "Successful" } },
    ];
    const { status, stderr } = await rollOut(update);
    expect(status, stderr).toBe(0);
    expect(changes()).toEqual(["CancelInstanceRefresh", "StartInstanceRefresh"]);
  });

  it("does without alarms if one was raised before anything was replaced, so that a fix can be deployed", async () => {
    const reason = "Alarm qwen3-errors-1 is in ALARM state";
    aws.groups[GROUP] = [
      before,
      { ...before, refresh: { status: "Failed", percent: 0, reason } },
      { ...before, refresh: { status: "InProgress", percent: 50 } },
      { ...after, refresh: { status: "Successful", percent: 100 } },
    ];
    const { status, stderr } = await rollOut(update);
    expect(status, stderr).toBe(0);
    const starts = aws.requests.filter(({ Action }) => Action === "StartInstanceRefresh");
    const alarms = starts.map((each) => Object.keys(each).filter((name) => name.includes("Alarms")).length);
    expect(alarms).toEqual([2, 0]);
  });
});
