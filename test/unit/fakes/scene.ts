import { afterEach, beforeAll, beforeEach, expect, onTestFinished } from "vitest";
import { verifyCommand } from "../../../scripts/verify/command";
import type { Row } from "../../../scripts/verify/row";
import { type RunOptions, verify } from "../../../scripts/verify/run";
import type { Target } from "../../../scripts/verify/target";
import { FakeAws, type Invocation } from "./aws";
import { type Certificates, makeCertificates } from "./certificates";
import { DIMENSIONS, FakeEndpoint, type Fault, MODEL } from "./endpoint";
import { FakeHome, runCommand, SECRET_ARN, stackAnswers, stackOutputs } from "./environment";

// Not in the format of the project's keys, so that only the key that was read can be redacted.
export const KEY = "SENTINEL7f3c9a1e5b2d4860SENTINEL7f3c9a1e5b2d4860";

/** What a good instance reports. */
export const INSTANCE_ROWS: Row[] = [
  { name: "every worker embeds, on its own port", about: "service", ok: true, evidence: "2 of 2" },
  { name: "no key in a file", about: "keys", ok: true, evidence: "40312 files" },
];

const FAST = { pollMs: 5, keyWaitMs: 100, instance: { pollMs: 5, onlineMs: 50, checkMs: 500 } };

export interface Run {
  fault?: Fault;
  faults?: readonly Fault[];
  target?: Partial<Target>;
  options?: Partial<RunOptions>;
  served?: Certificates;
  arrange?(endpoint: FakeEndpoint): void;
}

export interface CommandRun {
  fault?: Fault;
  flags?: string[];
  settings?: Record<string, string>;
}

/** A fake endpoint and a fake AWS for the tests of `verify`, new for each test. */
export class Scene {
  aws = new FakeAws();
  awsEndpoint = "";
  certificates!: Certificates;
  /** Of another authority. */
  foreign!: Certificates;
  /** Nothing listens there. Below the ports that the kernel gives to servers, which would give a closed one again. */
  readonly closedPort = 1;

  /** Registers the hooks of a test file. */
  static use(): Scene {
    const scene = new Scene();
    beforeAll(async () => {
      scene.certificates = makeCertificates("IP:127.0.0.1");
      scene.foreign = makeCertificates("IP:127.0.0.1");
    });
    beforeEach(async () => {
      scene.aws = new FakeAws();
      scene.awsEndpoint = await scene.aws.listen();
      scene.aws.secrets = { [SECRET_ARN]: KEY };
      scene.aws.invocations = [success(INSTANCE_ROWS)];
    });
    afterEach(() => scene.aws.close());
    return scene;
  }

  /** Verifies a fake endpoint in this process. */
  async run({ fault, faults, target, options, served = this.certificates, arrange }: Run = {}) {
    const endpoint = new FakeEndpoint(served, KEY, faults ?? (fault ? [fault] : []));
    onTestFinished(() => endpoint.close());
    arrange?.(endpoint);
    const progress: string[] = [];
    const whole: Target = {
      endpoint: await endpoint.listen(),
      caCertificate: this.certificates.ca,
      secretArn: SECRET_ARN,
      model: MODEL,
      dimensions: DIMENSIONS,
      instanceId: "i-0123456789abcdef0",
      publishedWeights: true,
      timeoutSeconds: 5,
      aws: {
        region: "us-east-1",
        env: {
          AWS_ENDPOINT_URL: this.awsEndpoint,
          AWS_ACCESS_KEY_ID: "AKIALOCALADMINISTRATOR",
          AWS_SECRET_ACCESS_KEY: "x",
        },
      },
      ...target,
    };
    const rows = await verify(whole, KEY, {
      ...FAST,
      skipMachine: false,
      plainPort: this.closedPort,
      publicRoots: [this.foreign.ca],
      progress: (line) => progress.push(line),
      ...options,
    });
    return { rows, progress, requests: endpoint.requests };
  }

  /** Runs the command against a fake endpoint, through a stack's outputs. */
  async command({ fault, flags = [], settings = {} }: CommandRun = {}) {
    const endpoint = new FakeEndpoint(this.certificates, KEY, fault ? [fault] : []);
    onTestFinished(() => endpoint.close());
    const outputs = stackOutputs(await endpoint.listen(), this.certificates.ca);
    const named = Object.entries(settings).map(([name, value]) => [`qwen3-embedding-stack:${name}`, value]);
    return this.open(stackAnswers(outputs, Object.fromEntries(named)), flags);
  }

  async open(answers: ConstructorParameters<typeof FakeHome>[1], flags: string[] = []) {
    const home = new FakeHome(this.awsEndpoint, answers);
    onTestFinished(() => home.remove());
    const tuning = { ...FAST, plainPort: this.closedPort, publicRoots: [this.foreign.ca] };
    const argv = ["--stack", "local", "--timeout", "5", ...flags];
    return runCommand((context) => verifyCommand(context, tuning), argv, home.env);
  }
}

/** The one failed row. */
export function only(rows: Row[]): Row {
  const failed = rows.filter(({ ok }) => ok === false);
  expect(failed).toHaveLength(1);
  return failed[0]!;
}

export function success(checks: unknown[]): Invocation {
  return { Status: "Success", StandardOutputContent: JSON.stringify({ checks }), StandardErrorContent: "" };
}
