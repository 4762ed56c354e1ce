import { describe, expect, it } from "vitest";
import { costCommand } from "../../scripts/cost/command";
import { estimate } from "../../scripts/cost/estimate";
import { HOSTED, INSTANCE_HOUR, type Price, SERVICES } from "../../scripts/cost/prices";
import { summary } from "../../scripts/cost/summary";
import { runCommand } from "./fakes/environment";

const settings = {
  region: "us-east-1",
  instanceType: "g6e.xlarge",
  clients: ["default"],
  rootVolumeGib: 150,
  instancesMin: 1,
  domain: undefined as string | undefined,
  internal: false,
};
const assumptions = { tokensPerSecond: 20_000, hours: 730 };

const run = (...argv: string[]) => runCommand(costCommand, argv);

describe("the estimate", () => {
  it("is the sum of its lines, per hour and per month", () => {
    const { lines, hour, month } = estimate(settings, assumptions);
    expect(hour).toBeCloseTo(
      lines.reduce((sum, line) => sum + line.hour, 0),
      9,
    );
    expect(month).toBeCloseTo(hour * 730, 6);
    // 1.861 for the instance; 150 × 0.08 for the volume; 2 × 0.40 for secrets; 0.005 for the address.
    const month_ = 1.861 * 730 + 12 + 0.8 + 3.65;
    const polling = ((720 + 60) * 730 * 0.05) / 10_000 + (720 * 730 * 0.0004) / 1_000;
    expect(month).toBeCloseTo(month_ + polling, 6);
  });

  it("counts volume, secrets and address of a stopped instance", () => {
    const { month } = estimate(settings, { ...assumptions, hours: 1 });
    expect(month).toBeGreaterThan(12 + 0.8 + 3.65 + 1.861);
    expect(month).toBeLessThan(12 + 0.8 + 3.65 + 1.87);
  });

  it("counts every GPU of every instance", () => {
    const one = estimate({ ...settings, instanceType: "p4d.24xlarge" }, assumptions);
    const three = estimate({ ...settings, instanceType: "p4d.24xlarge" }, { ...assumptions, machines: 3 });
    expect(one.tokensPerSecond).toBe(8 * 20_000);
    expect(three.tokensPerSecond).toBe(24 * 20_000);
    expect(one.perMillionTokens).toBeCloseTo(one.month / ((160_000 * 3600 * 730) / 1e6), 9);
  });

  it("counts a fleet's minimum number of instances with one address each, and no address for an internal fleet", () => {
    const fleet = { ...settings, domain: "embeddings.example.com", instancesMin: 3 };
    const open = estimate(fleet, assumptions);
    expect(open.tokensPerSecond).toBe(3 * 20_000);
    expect(open.lines.find(({ what }) => what === "public addresses")!.hour).toBeCloseTo(0.015, 9);
    expect(open.leftOut.join()).toContain("load balancer");
    const internal = estimate({ ...fleet, internal: true }, assumptions);
    expect(internal.lines.some(({ what }) => /address/.test(what))).toBe(false);
  });

  it("computes at how many tokens a hosted service costs the same, if at all", () => {
    const { hosted, month } = estimate(settings, assumptions);
    const [cheapest] = hosted;
    const dearest = hosted.at(-1)!;
    expect(cheapest!.breakEvenTokens).toBeUndefined();
    expect((dearest.breakEvenTokens! / 1e6) * dearest.price.usd).toBeCloseTo(month, 6);
  });

  it("rejects an instance type without a price", () => {
    expect(() => estimate({ ...settings, instanceType: "g6e.48xlarge" }, assumptions)).toThrow(
      /instanceType is "g6e.48xlarge"; allowed: p4d.24xlarge/,
    );
    expect(() => estimate({ ...settings, region: "eu-west-1" }, assumptions)).toThrow(
      /aws:region is "eu-west-1"/,
    );
  });

  it("has a source and a date for every price", () => {
    const prices: Price[] = [...Object.values(INSTANCE_HOUR), ...Object.values(SERVICES), ...HOSTED];
    for (const { usd, source, read } of prices) {
      expect(usd).toBeGreaterThan(0);
      expect(new URL(source).protocol).toBe("https:");
      expect(read).toMatch(/^\d{4}-\d{2}-\d{2}, \S/);
    }
  });
});

describe("npm run cost", () => {
  it.each(["dev", "prod"])(
    "shows %s with its sources, and states that the throughput is an assumption",
    async (stack) => {
      const { status, stdout } = await run("--stack", stack);
      expect(status).toBe(0);
      expect(stdout).toMatch(/total +[\d.]+ +[\d,.]+/);
      expect(stdout).toContain("an assumption, not a measurement");
      expect(stdout).toMatch(/\[1\] https:\/\//);
    },
  );

  it("does not mention an assumption if the throughput is set", async () => {
    const { stdout } = await run("--stack", "dev", "--tokens-per-second", "9000");
    expect(stdout).toContain("9,000 tokens/s");
    expect(stdout).not.toContain("assumption");
  });

  it.each([
    [["--stack", "nowhere"], /--stack is "nowhere"/],
    [[], /--stack is not set/],
    [["--stack", "dev", "--hours", "731"], /--hours is "731"; allowed: a whole number from 1 to 730/],
    [["--stack", "dev", "--tokens-per-second", "fast"], /--tokens-per-second is "fast"/],
  ])("rejects %j", async (argv, says) => {
    const { status, stderr } = await run(...argv);
    expect(status).toBe(2);
    expect(stderr).toMatch(says);
  });

  it("has no price for an instance without a GPU", async () => {
    expect(await run("--stack", "local")).toMatchObject({
      status: 1,
      stderr: expect.stringMatching(/m7i.xlarge/),
    });
  });
});

describe("the summary in a preview", () => {
  const previewed = {
    ...settings,
    accelerator: "cuda" as const,
    purchaseOption: "on-demand" as const,
    verificationTimeoutSeconds: 2700,
  };

  it("says what is created, what it costs, and how long an update takes", () => {
    const text = summary("dev", previewed);
    const { hour, month } = estimate(settings, assumptions);
    expect(text).toContain("1 × g6e.xlarge (1 × L40S) in us-east-1.");
    expect(text).toContain(`About ${hour.toFixed(2)} US dollars per hour`);
    expect(text).toContain(`${Math.round(month).toLocaleString("en-US")} per month on demand; `);
    expect(text).toContain("npm run cost -- --stack dev");
    expect(text).toContain("waits up to 45 minutes");
    expect(text).toContain("the old one serves until the new one does");
    expect(summary("dev", { ...previewed, purchaseOption: "reservation" })).toContain(
      "replaces the Instance, the endpoint does not respond until the new one serves",
    );
  });

  it("says that a fleet is replaced instance by instance, and that a spot price is lower than the stated one", () => {
    const fleet = {
      ...previewed,
      domain: "embeddings.example.com",
      instancesMin: 3,
      purchaseOption: "spot" as const,
    };
    expect(summary("prod", fleet)).toMatch(/^3 × .*on demand \(this stack's purchaseOption is spot\)/);
    expect(summary("prod", fleet)).toContain("one after another");
  });

  it.each([{ region: "eu-west-1" }, { instanceType: "p5.4xlarge" }, { accelerator: "cpu" as const }])(
    "has no price for %o",
    (other) => {
      expect(summary("dev", { ...previewed, ...other })).toContain("No price is known for it.");
    },
  );
});
