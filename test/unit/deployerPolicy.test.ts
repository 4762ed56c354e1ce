import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { STACK_TAG } from "../../components/tags";
import { DEPLOYER_POLICIES, PERMISSIONS_BOUNDARY, type Statement } from "../provider/policies";
import { type Registered, runProgram } from "./fakes/program";

/** Maximum size of a managed policy, in characters without white space. */
const LARGEST_POLICY = 6144;

const POLICIES = { ...DEPLOYER_POLICIES, "permissions boundary": PERMISSIONS_BOUNDARY };
const DEPLOYER = Object.values(DEPLOYER_POLICIES).flatMap(({ policy }) => policy.Statement);
const STATEMENTS = Object.values(POLICIES).flatMap(({ policy }) => policy.Statement);

interface Action {
  /** Condition keys for every resource of the action. */
  keys: string[];
  types: { name: string; required: boolean; arn: string; keys: string[] }[];
}

const ACTIONS = readReference(readFileSync(join(__dirname, "serviceAuthorization.txt"), "utf8"));

function readReference(text: string): Map<string, Action> {
  const lines = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  const arns = new Map(
    lines
      .filter((line) => line.includes(" = "))
      .map((line) => line.split(" = ") as [string, string])
      .map(([type, arn]) => [type, arn.replace(/(?<=[:/]|^)x(?=[:/]|$)/g, "*")]),
  );
  return new Map(
    lines
      .filter((line) => line.includes(" |"))
      .map((line) => {
        const [action = "", keys = "", types = ""] = line.split("|").map((part) => part.trim());
        const service = action.split(":")[0];
        return [
          action,
          {
            keys: words(keys),
            types: types
              .split(", ")
              .filter(Boolean)
              .map((part) => {
                const [type = "", ...own] = words(part);
                const name = type.replace(/\*$/, "");
                return {
                  name,
                  required: type.endsWith("*"),
                  arn: arns.get(`${service}:${name}`)!,
                  keys: own,
                };
              }),
          },
        ];
      }),
  );
}

function words(text: string): string[] {
  return text.split(" ").filter(Boolean);
}

/** Whether some ARN matches both patterns. Parts are compared one by one, so that no wildcard extends over a colon. */
function overlap(a: string, b: string): boolean {
  const [left, right] = [a, b].map((arn) => {
    const parts = arn.split(":");
    return [...parts.slice(0, 5), parts.slice(5).join(":")];
  }) as [string[], string[]];
  return a === "*" || b === "*" || left.every((part, index) => overlapText(part, right[index]!));
}

function overlapText(a: string, b: string): boolean {
  if (a === "" || b === "") {
    return /^\**$/.test(a + b);
  }
  if (a[0] === "*") {
    return overlapText(a.slice(1), b) || overlapText(a, b.slice(1));
  }
  return b[0] === "*" ? overlapText(b, a) : a[0] === b[0] && overlapText(a.slice(1), b.slice(1));
}

const resources = ({ Resource }: Statement) => [Resource].flat();
const conditionKeys = ({ Condition = {} }: Statement) =>
  Object.values(Condition).flatMap((keys) =>
    Object.keys(keys).map((key) => key.replace(`/${STACK_TAG}`, "")),
  );

/** Every action with its statement, except those with wildcards, which are only for reading. */
const granted = STATEMENTS.flatMap((statement) =>
  statement.Action.filter((action) => !action.includes("*")).map((action) => ({ statement, action })),
);

describe("the policies of the deployer and its boundary", () => {
  it.each(Object.entries(POLICIES))("are accepted by IAM: %s", (_, { policy }) => {
    expect(JSON.stringify(policy).length).toBeLessThanOrEqual(LARGEST_POLICY);
    expect(policy.Version).toBe("2012-10-17");
    for (const { Sid } of policy.Statement) {
      expect(Sid).toMatch(/^[A-Za-z0-9]+$/);
    }
  });

  it("have statements with different names", () => {
    const names = DEPLOYER.map(({ Sid }) => Sid);
    expect(new Set(names).size).toBe(names.length);
  });

  it("have wildcards only in actions that read", () => {
    const wild = STATEMENTS.flatMap(({ Action }) => Action).filter((action) => action.includes("*"));
    expect(wild.filter((action) => !/:(Describe|GetBucket)\*$/.test(action))).toEqual([]);
  });

  it.each(granted)("$statement.Sid grants an action that has these resources: $action", (each) => {
    const { statement, action } = each;
    const known = ACTIONS.get(action);
    expect(known, `add ${action} to serviceAuthorization.txt`).toBeDefined();
    const matching = known!.types.filter(({ arn }) => resources(statement).some((one) => overlap(one, arn)));
    expect(statement.Resource === "*" || matching.length > 0).toBe(true);
  });

  it.each(granted.filter(({ statement }) => statement.Condition))(
    "$statement.Sid has conditions that AWS evaluates for $action",
    ({ statement, action }) => {
      const { keys, types } = ACTIONS.get(action)!;
      const matching = types.filter(({ arn }) => resources(statement).some((one) => overlap(one, arn)));
      for (const key of conditionKeys(statement)) {
        const supported = keys.includes(key) || matching.some((type) => type.keys.includes(key));
        expect(supported, `${action} has no condition key ${key}`).toBe(true);
      }
    },
  );

  it("grant every resource type that an action requires", () => {
    const actions = [...new Set(DEPLOYER.flatMap(({ Action }) => Action))].filter(
      (each) => !each.includes("*"),
    );
    const missing = actions.flatMap((action) => {
      const statements = DEPLOYER.filter(
        ({ Effect, Action }) => Effect === "Allow" && Action.includes(action),
      );
      return (statements.length > 0 ? ACTIONS.get(action)!.types : [])
        .filter(({ required, arn }) => required && !statements.some((each) => covers(each, arn)))
        .map(({ name }) => `${action} ${name}`);
    });
    expect(missing).toEqual([]);
  });
});

function covers(statement: Statement, arn: string): boolean {
  return resources(statement).some((one) => overlap(one, arn));
}

describe("the permissions boundary", () => {
  it.each([
    [
      "one instance on a schedule",
      { stopSchedule: "0 20 ? * MON-FRI *", startSchedule: "0 7 ? * MON-FRI *" },
    ],
    ["a fleet", { domain: "embeddings.example.com", instancesMin: 2, instancesMax: 3 }],
  ])("allows everything that the roles of the stack need: %s", async (_, settings) => {
    const { registered } = await runProgram({ allowedCidrs: ["203.0.113.0/24"], ...settings });
    const policies = registered.filter(({ type }) => type === "aws:iam/rolePolicy:RolePolicy");
    expect(policies.length).toBeGreaterThan(0);
    const needed = policies.flatMap(({ inputs }) => {
      const { Statement } = JSON.parse(String(inputs.policy)) as { Statement: Statement[] };
      return Statement.flatMap((statement) =>
        statement.Action.flatMap((action) =>
          resources(statement).map((resource) => ({
            action,
            resource,
            // The instance of a schedule has the tag of its stack.
            context: { [`aws:ResourceTag/${STACK_TAG}`]: "qwen3-embedding-test", ...contextOf(statement) },
          })),
        ),
      );
    });
    expect(needed.filter((need) => !PERMISSIONS_BOUNDARY.policy.Statement.some(allows(need)))).toEqual([]);
  });

  it.each([
    ["an address", { stopSchedule: "0 20 ? * MON-FRI *" }, 2],
    ["a domain", { domain: "embeddings.example.com", instancesMin: 2, instancesMax: 3 }, 1],
  ])("is that of every role of a stack with %s", async (_, settings, count) => {
    const permissionsBoundary = "arn:aws:iam::123456789012:policy/qwen3-embedding-boundary";
    const config = { allowedCidrs: ["203.0.113.0/24"], permissionsBoundary, ...settings };
    const roles = of((await runProgram(config)).registered, "Role");
    expect(roles.map(({ inputs }) => inputs.permissionsBoundary)).toEqual(
      Array(count).fill(permissionsBoundary),
    );
  });

  it.each([
    ["iam:CreateUser", "*"],
    ["iam:PassRole", "arn:aws:iam::123456789012:role/administrator"],
    ["sts:AssumeRole", "arn:aws:iam::123456789012:role/administrator"],
    ["secretsmanager:GetSecretValue", "arn:aws:secretsmanager:us-east-1:123456789012:secret:payments-AbCdEf"],
    ["s3:GetObject", "arn:aws:s3:::payments/ledger"],
    ["ec2:StopInstances", "arn:aws:ec2:us-east-1:123456789012:instance/i-0123456789abcdef0"],
    ["ssm:SendCommand", "arn:aws:ec2:us-east-1:123456789012:instance/i-0123456789abcdef0"],
  ])("does not allow %s on %s", (action, resource) => {
    const need = { action, resource, context: {} };
    expect(PERMISSIONS_BOUNDARY.policy.Statement.some(allows(need))).toBe(false);
  });
});

interface Need {
  action: string;
  resource: string;
  context: Record<string, string>;
}

/** The values that a statement's own conditions accept. */
function contextOf({ Condition = {} }: Statement): Record<string, string> {
  return Object.fromEntries(
    Object.values(Condition).flatMap((keys) =>
      Object.entries(keys).map(([key, value]) => [key, [value].flat()[0]!]),
    ),
  );
}

/** As IAM evaluates the operators that the boundary uses. */
function allows({ action, resource, context }: Need) {
  return ({ Effect, Action, Condition = {}, ...statement }: Statement) =>
    Effect === "Allow" &&
    Action.includes(action) &&
    resources(statement as Statement).some((pattern) => like(resource, pattern)) &&
    Object.entries(Condition).every(([operator, keys]) => {
      expect(["StringEquals", "StringLike"]).toContain(operator);
      return Object.entries(keys).every(([key, wanted]) =>
        [wanted].flat().some((each) => context[key] !== undefined && like(context[key], each)),
      );
    });
}

function like(text: string, pattern: string): boolean {
  const expression = pattern.replace(/[.+^${}()|[\]\\?]/g, "\\$&").replaceAll("*", ".*");
  return new RegExp(`^${expression}$`, "s").test(text);
}

describe("the tag of a stack", () => {
  /** Resources of EC2 that the deployer can change only by their tag. */
  const TAGGED = [
    ...["ec2/eip:Eip", "ec2/instance:Instance", "ec2/internetGateway:InternetGateway"],
    ...["ec2/launchTemplate:LaunchTemplate", "ec2/routeTable:RouteTable", "ec2/securityGroup:SecurityGroup"],
    ...["ec2/subnet:Subnet", "ec2/vpc:Vpc", "ec2/vpcEndpoint:VpcEndpoint"],
  ];

  it.each([
    ["one instance", {}],
    ["a fleet", { domain: "embeddings.example.com", instancesMin: 2, instancesMax: 3 }],
    [
      "a private fleet",
      {
        domain: "embeddings.example.com",
        internal: true,
        vpcId: "vpc-0123456789abcdef0",
        subnetIds: ["subnet-0123456a", "subnet-0123456b"],
        createVpcEndpoints: true,
      },
    ],
  ])("is on every resource that needs it, its instances and its volumes: %s", async (_, settings) => {
    const { registered } = await runProgram({ allowedCidrs: ["203.0.113.0/24"], ...settings });
    const tag = { [STACK_TAG]: "qwen3-embedding-test" };
    const found = registered.filter(({ type }) => TAGGED.some((each) => type === `aws:${each}`));
    expect(found.length).toBeGreaterThan(3);
    for (const { type, name, inputs } of found) {
      expect(inputs.tags, `${type} ${name}`).toMatchObject(tag);
    }
    for (const { inputs } of of(registered, "Instance")) {
      expect(inputs.volumeTags).toMatchObject(tag);
    }
    for (const { inputs } of of(registered, "LaunchTemplate")) {
      expect(inputs.tagSpecifications).toEqual([
        { resourceType: "instance", tags: expect.objectContaining(tag) },
        { resourceType: "volume", tags: expect.objectContaining(tag) },
      ]);
    }
  });
});

function of(registered: Registered[], type: string): Registered[] {
  return registered.filter((each) => each.type.endsWith(`:${type}`));
}
