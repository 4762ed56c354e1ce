import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { check as checkAll, checkSettings } from "../../components/settings/check";
import type { RawSettings } from "../../components/settings/table";
import { runProgram } from "./fakes/program";

const usable: RawSettings = { allowedCidrs: ["203.0.113.0/24"] };

type Mix = <T>(right: fc.Arbitrary<T>, ...wrong: unknown[]) => fc.Arbitrary<unknown>;

/** Mostly allowed values, often at their limits, and mistakes that people make. */
const withMistakes: Mix = (right, ...wrong) =>
  fc.oneof(
    { weight: 6, arbitrary: right as fc.Arbitrary<unknown> },
    { weight: 1, arbitrary: fc.constantFrom(...wrong) },
  );

/** Values that are allowed by themselves. */
const withoutMistakes: Mix = (right) => right;

const SUBNETS = ["a", "b", "d", "e"].map((zone) => `subnet-0123456${zone}`);

/** Every setting that changes which resources exist, or how they are requested. */
const configuration = (mixed: Mix) =>
  fc.record(
    {
      instanceType: mixed(
        fc.constantFrom(
          "g5.xlarge",
          "g6.12xlarge",
          "g6e.xlarge",
          "p4d.24xlarge",
          "p4de.24xlarge",
          "p5.4xlarge",
        ),
        "m7i.xlarge",
        "g4dn.xlarge",
        "",
        8,
      ),
      accelerator: mixed(fc.constantFrom("cuda", "cuda", "cpu"), "tpu", true),
      availabilityZone: mixed(fc.constantFrom("", "us-east-1a", "us-east-1b"), "us-east-1", "b"),
      purchaseOption: mixed(
        fc.constantFrom("on-demand", "spot", "reservation", "capacity-block"),
        "reserved",
        1,
      ),
      capacityReservationId: mixed(fc.constantFrom("", "cr-0123456789abcdef0"), "0123456789abcdef0"),
      cpuWorkers: mixed(fc.integer({ min: 1, max: 8 }), 0, 9),
      domain: mixed(
        fc.constantFrom("", "embeddings.example.com", "a.example.com"),
        "https://example.com",
        "localhost",
        "A.com",
      ),
      hostedZoneId: mixed(fc.constantFrom("", "Z0123456789ABCDEFGHIJ"), "example.com"),
      instancesMin: mixed(fc.integer({ min: 1, max: 4 }), 0, 51, "1"),
      instancesMax: mixed(fc.integer({ min: 1, max: 6 }), 0, 1.5, null),
      vpcId: mixed(fc.constantFrom("", "", "vpc-0123456789abcdef0"), "default"),
      subnetIds: mixed(fc.subarray(SUBNETS), ["subnet"], SUBNETS[0], [SUBNETS[0], SUBNETS[0]]),
      packageMirror: mixed(fc.constantFrom("", "s3://mirror/packages"), "https://pypi.org"),
      imageId: mixed(fc.constantFrom("", "ami-0123456789abcdef0"), "ubuntu"),
      certificateAuthority: mixed(fc.constantFrom("first", "second"), "third"),
      internal: mixed(fc.boolean(), "yes"),
      createVpcEndpoints: mixed(fc.boolean(), 0),
      contextLength: mixed(fc.constantFrom(64, 8192, 32768), 63, 32769, "long"),
      memFractionStatic: mixed(fc.double({ min: 0.1, max: 0.95, noNaN: true }), 1, 0, "most"),
      protect: mixed(fc.boolean(), "true "),
      clients: mixed(
        fc.uniqueArray(fc.stringMatching(/^[a-z][a-z0-9-]{0,9}$/), { minLength: 1, maxLength: 3 }),
        [],
        ["a", "a"],
        "a",
      ),
      secretRecoveryDays: mixed(fc.constantFrom(0, 7, 30), 1, 31),
      verificationTimeoutSeconds: mixed(fc.integer({ min: 10, max: 14400 }), 9),
    },
    { requiredKeys: [] },
  );

const base = { publishedWeights: true, maxInputs: 2048 };

/** Without an exception, whose stack trace costs more than the check. */
function problemsOf(config: Record<string, unknown>): string[] {
  return checkAll({ ...usable, ...base, ...config }).problems;
}

function check(config: Record<string, unknown>): { accepted: boolean; said: string } {
  try {
    checkSettings({ ...usable, ...base, ...config });
    return { accepted: true, said: "" };
  } catch (error) {
    return { accepted: false, said: (error as Error).message };
  }
}

describe("any configuration", () => {
  it("is accepted, or rejected with the setting, its value and what is allowed for each problem", () => {
    let refused = 0;
    fc.assert(
      fc.property(configuration(withMistakes), (config) => {
        const { accepted, said } = check(config);
        if (accepted) {
          return;
        }
        refused += 1;
        const [first, ...rest] = said.split("\n");
        const last = rest.pop();
        expect(first).toBe("The configuration is not valid, and nothing was changed:");
        expect(last).toMatch(/^Set a value with `npx pulumi config set/);
        expect(rest.length).toBeGreaterThan(0);
        for (const line of rest) {
          const [, name = "", value] = /^ {2}- ([\w:]+) is (not set|.+?)[;,].*allowed: \S/.exec(line) ?? [];
          expect(name, line).not.toBe("");
          // The written value, or the default of a setting that depends on another one.
          if (Object.hasOwn(config, name) && value !== "not set") {
            expect(line).toContain(JSON.stringify(config[name as keyof typeof config]));
          }
        }
      }),
      { numRuns: 3000 },
    );
    expect(refused).toBeGreaterThan(100);
  });

  it("that is accepted creates every resource, and the error says why if AWS has no place for it", async () => {
    let built = 0;
    let fleets = 0;
    await fc.assert(
      fc.asyncProperty(
        configuration(withoutMistakes).filter((config) => problemsOf(config).length === 0),
        async (config) => {
          const outcome = await runProgram({ allowedCidrs: usable.allowedCidrs, ...base, ...config }).then(
            ({ registered, outputs }) => ({ registered, outputs, said: "" }),
            (error: Error) => ({
              registered: [],
              outputs: {} as Record<string, unknown>,
              said: error.message,
            }),
          );
          if (outcome.said) {
            // The only fact that is known to AWS alone: the zone of a subnet.
            expect(outcome.said).toMatch(/^subnetIds is \[.*\], .*; allowed: .*Nothing was changed\.$/);
            return;
          }
          built += 1;
          const types = new Set(outcome.registered.map(({ type }) => type.split(":").at(-1)));
          const fleet = Boolean(config.domain);
          fleets += fleet ? 1 : 0;
          expect(types.has("Group") && types.has("LoadBalancer") && types.has("LaunchTemplate")).toBe(fleet);
          expect(types.has("Instance") && types.has("Eip")).toBe(!fleet);
          expect(types.has("Vpc")).toBe(!config.vpcId);
          expect(types.has("VpcEndpoint")).toBe(config.createVpcEndpoints === true);
          expect(outcome.outputs.endpoint).toBe(
            fleet ? `https://${config.domain}/v1` : "https://203.0.113.10/v1",
          );
        },
      ),
      { numRuns: 40 },
    );
    expect(built).toBeGreaterThan(15);
    expect(fleets).toBeGreaterThan(1);
  });
});
