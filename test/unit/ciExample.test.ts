import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { ROOT } from "../../scripts/lib/paths";
import { DEPLOYER_POLICIES, type Statement } from "../provider/policies";

const FOLDER = "examples/github-actions";

interface Step {
  uses?: string;
  run?: string;
  with?: Record<string, string | number>;
}

interface Job {
  if: string;
  environment: string;
  "timeout-minutes": number;
  concurrency?: Record<string, unknown>;
  steps: Step[];
}

interface Workflow {
  on: Record<string, { branches: string[] } | null>;
  permissions: Record<string, string>;
  env: Record<string, string>;
  jobs: Record<"preview" | "deploy", Job>;
}

interface TrustStatement extends Omit<Statement, "Resource"> {
  Principal: { Federated: string };
}

const read = (path: string) => readFileSync(join(ROOT, path), "utf8");
const workflow = parse(read(`${FOLDER}/deploy-embeddings.yml`)) as Workflow;
const { preview, deploy } = workflow.jobs;
const jobs = Object.entries(workflow.jobs);
const packages = JSON.parse(read("package.json")) as {
  engines: { node: string };
  devDependencies: Record<string, string>;
};

const commands = ({ steps }: Job) => steps.flatMap(({ run }) => run ?? []);
const credentials = ({ steps }: Job) =>
  steps.find(({ uses }) => uses?.startsWith("aws-actions/configure-aws-credentials@"))!.with!;

/** By program and subcommand, such as `pulumi up`: the options of every command of a job. */
function options(job: Job): Record<string, string[]> {
  return Object.fromEntries(
    commands(job)
      .filter((command) => command.startsWith("npx "))
      .map((command) => {
        const [, program, subcommand, ...rest] = command.split(" ");
        return [`${program} ${subcommand}`, rest];
      }),
  );
}

describe("the workflow for GitHub Actions", () => {
  it("previews pull requests of the repository itself, and deploys main", () => {
    expect(workflow.on).toEqual({ pull_request: null, push: { branches: ["main"] } });
    expect(preview.if).toContain("github.event_name == 'pull_request'");
    expect(preview.if).toContain("github.event.pull_request.head.repo.full_name == github.repository");
    expect(deploy.if).toBe("github.event_name == 'push'");
    expect(Object.keys(options(preview))).toEqual(["pulumi preview"]);
    expect(Object.keys(options(deploy))).toEqual(["pulumi up"]);
  });

  it.each(jobs)("runs Pulumi as the README does: %s", (_, job) => {
    expect(commands(job)[0]).toBe("npm ci");
    expect(read("README.md")).toContain("npm ci\nnpx pulumi login");
    // The package of the command line, in the version of the lock file.
    expect(packages.devDependencies.pulumi).toMatch(/^\d+\.\d+\.\d+$/);
    const [found] = Object.values(options(job));
    expect(found).toEqual(expect.arrayContaining(["--stack", '"$STACK"', "--non-interactive"]));
    expect(found!.slice(-2)).toEqual(["--policy-pack", "policy"]);
    expect(existsSync(join(ROOT, "policy/PulumiPolicy.yaml"))).toBe(true);
    expect(existsSync(join(ROOT, `Pulumi.${workflow.env.STACK}.yaml`))).toBe(true);
  });

  it("confirms the update, and is never cancelled in the middle of one", () => {
    expect(options(deploy)["pulumi up"]).toContain("--yes");
    expect(deploy.concurrency).toEqual({ group: "deploy-embeddings", "cancel-in-progress": false });
  });

  it.each(jobs)("runs on the Node version of the project: %s", (_, { steps }) => {
    const version = steps.find(({ uses }) => uses?.startsWith("actions/setup-node@"))!.with!["node-version"];
    const [major] = packages.devDependencies.node!.split(".");
    expect(String(version)).toBe(major);
    expect(Number(version)).toBeGreaterThanOrEqual(Number(/\d+/.exec(packages.engines.node)![0]));
    expect(parse(read(".github/workflows/ci.yml")).jobs.test.steps).toContainEqual(
      expect.objectContaining({ with: { "node-version": version } }),
    );
  });

  it.each(jobs)("pins the action that handles credentials, and stores none: %s", (_, job) => {
    const uses = job.steps.flatMap((step) => step.uses ?? []);
    expect(uses).toContainEqual(
      expect.stringMatching(/^aws-actions\/configure-aws-credentials@v\d+\.\d+\.\d+$/),
    );
    for (const each of uses) {
      expect(each).toMatch(/@v\d/);
    }
    expect(workflow.permissions).toEqual({ contents: "read", "id-token": "write" });
    const { "role-to-assume": role, ...rest } = credentials(job);
    // The deployer may change roles with the prefix of stacks.
    expect(role).toMatch(/^arn:aws:iam::ACCOUNT:role\/(?!qwen3-embedding-)/);
    expect(Object.keys(rest).filter((name) => /key|secret/.test(name))).toEqual([]);
  });

  it("has credentials for as long as the deployment may take", () => {
    expect(credentials(deploy)["role-duration-seconds"]).toBe(deploy["timeout-minutes"] * 60);
    expect(read("docs/guides/ci.md")).toContain(
      `--max-session-duration ${credentials(deploy)["role-duration-seconds"]}`,
    );
  });
});

describe("the monthly workflow", () => {
  const monthly = parse(read(`${FOLDER}/check-image.yml`)) as Workflow & { jobs: { check: Job } };
  const { check } = monthly.jobs;

  it("checks the deployed stack's image once a month, and changes nothing", () => {
    expect(monthly.on.schedule).toEqual([{ cron: expect.stringMatching(/^\d+ \d+ 1 \* \*$/) }]);
    expect(commands(check)).toEqual(["npm ci", 'npm run -s image -- --stack "$STACK" --check']);
    expect(read("package.json")).toContain('"image": "tsx scripts/cli.ts image"');
  });

  it("has the environment, role, state and versions of the deployment", () => {
    expect(check.environment).toBe(deploy.environment);
    const { "role-duration-seconds": _, ...same } = credentials(deploy);
    expect(credentials(check)).toEqual(same);
    expect(monthly.env).toEqual(workflow.env);
    expect(monthly.permissions).toEqual(workflow.permissions);
    expect(check.steps.flatMap(({ uses }) => uses ?? [])).toEqual(
      deploy.steps.flatMap(({ uses }) => uses ?? []),
    );
  });
});

describe("the roles for GitHub Actions", () => {
  it.each(jobs)("trust one environment of one repository: %s", (name, { environment }) => {
    const { Statement } = JSON.parse(read(`${FOLDER}/${name}-trust.json`)) as { Statement: TrustStatement[] };
    expect(Statement).toHaveLength(1);
    const [{ Effect, Action, Principal, Condition }] = Statement as [TrustStatement];
    const issuer = "token.actions.githubusercontent.com";
    expect({ Effect, Action, Principal }).toEqual({
      Effect: "Allow",
      Action: ["sts:AssumeRoleWithWebIdentity"],
      Principal: { Federated: `arn:aws:iam::ACCOUNT:oidc-provider/${issuer}` },
    });
    // Exact values: a wildcard would trust other repositories or every branch.
    expect(Condition).toEqual({
      StringEquals: {
        [`${issuer}:aud`]: "sts.amazonaws.com",
        [`${issuer}:sub`]: `repo:OWNER@OWNER_ID/REPOSITORY@REPOSITORY_ID:environment:${environment}`,
      },
    });
    expect(credentials(workflow.jobs[name as "preview" | "deploy"])["role-to-assume"]).toContain(
      `role/${name}-embeddings`,
    );
  });

  it("may read in a preview what the deployer may read, and change nothing", () => {
    const reads = (action: string) => /:(Describe|Get|List|View)/.test(action);
    const reading = Object.values(DEPLOYER_POLICIES)
      .flatMap(({ policy }) => policy.Statement)
      // The output of commands, which only the verification of a deployment runs.
      .filter(({ Effect, Sid }) => Effect === "Allow" && Sid !== "ReadCommandOutput")
      .map((statement) => ({ ...statement, Action: statement.Action.filter(reads) }))
      .filter(({ Action }) => Action.length > 0);
    const { Statement } = JSON.parse(read(`${FOLDER}/preview-policy.json`)) as { Statement: Statement[] };
    expect(Statement).toEqual(reading);
  });
});
