import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { installPlugin, pluginVersion, realProviderConfiguration, SERVICES } from "../../local/realProvider";
import { ROOT } from "../../scripts/lib/paths";

const URL = "http://10.213.1.1:4566";
const folder = mkdtempSync(join(tmpdir(), "qwen3-real-provider-"));

afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** A `pulumi` that does this. */
function command(name: string, script: string): string {
  const file = join(folder, name);
  writeFileSync(file, `#!/bin/sh\n${script}\n`);
  chmodSync(file, 0o755);
  return file;
}

describe("npm start -- --real-provider", () => {
  it("sends the AWS provider's requests to the emulator, for every service that the deployer needs", () => {
    // The provider layer fails if the policies grant less than the provider requests, or more.
    const needed = ["deployer-policy", "deployer-policy-fleet"].flatMap((name) => {
      const text = readFileSync(join(ROOT, `docs/reference/${name}.json`), "utf8");
      const { Statement } = JSON.parse(text) as { Statement: { Action: string[] }[] };
      return Statement.flatMap(({ Action }) => Action.map((action) => action.split(":")[0]!));
    });
    const services = new Set(needed.map((each) => (each === "elasticloadbalancing" ? "elbv2" : each)));
    expect(SERVICES).toEqual(expect.arrayContaining([...services, "sts"]));

    const written = realProviderConfiguration(URL);
    const endpoints = written["aws:endpoints"] as Record<string, string>[];
    expect(endpoints).toEqual([Object.fromEntries(SERVICES.map((service) => [service, URL]))]);
    expect(written).toMatchObject({
      "aws:s3UsePathStyle": true,
      "aws:skipCredentialsValidation": true,
      "aws:skipMetadataApiCheck": true,
    });
    // The emulator's keys are variables, and a request for the account's ID keeps ARNs complete.
    expect(JSON.stringify(written)).not.toMatch(/accessKey|secretKey|skipRequestingAccountId/i);
  });

  it("installs the plugin that @pulumi/aws asks for, where the stack's engine looks", async () => {
    const said = join(folder, "said");
    await installPlugin(command("installs", `echo "$PULUMI_HOME $*" > ${said}`), "/state/pulumi-home");
    expect(readFileSync(said, "utf8")).toBe(
      `/state/pulumi-home plugin install resource aws ${pluginVersion()}\n`,
    );
    expect(pluginVersion()).toBe("7.48.0");
  });

  it("says what is missing where the plugin can't be had", async () => {
    const failing = command("fails", "echo 'error: [resource plugin aws] no such host' >&2; exit 255");
    await expect(installPlugin(failing, folder)).rejects.toThrow(
      /^--real-provider needs Pulumi's plugin aws 7\.48\.0, which cannot be installed here; without the option, npm start uses a fake of it\. .*no such host/,
    );
  });
});
