import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { renderBundle } from "../../components/bundle/bundle";
import { environmentFile, type InstanceConfig } from "../../components/bundle/instanceConfig";
import { MODEL } from "../../components/bundle/model";
import { renderUserData, USER_DATA_LIMIT } from "../../components/bundle/userData";

const config: InstanceConfig = {
  region: "us-east-1",
  accelerator: "cuda",
  workers: 1,
  modelSource: `hf://${MODEL.id}@${MODEL.revision}`,
  contextLength: MODEL.contextLength,
  memFractionStatic: 0.85,
  maxInputs: 2048,
  maxBodyBytes: 8388608,
  bucket: "artifacts",
  bundleKey: "bundles/0.tar",
  bundleSha256: "0".repeat(64),
  indexKey: "config/index.json",
};

describe("renderUserData", () => {
  it.each<[string, Partial<InstanceConfig>]>([
    ["cuda", {}],
    ["a mirror of the weights", { modelSource: "s3://mirror/qwen3", modelSha256: "1".repeat(64) }],
    [
      "an emulator and a proxy",
      { accelerator: "cpu", awsEndpointUrl: "http://10.213.7.1:4566", httpsProxy: "http://10.213.7.1:3128" },
    ],
  ])("renders %s", (_, change) => {
    expect(renderUserData({ ...config, ...change })).toMatchSnapshot();
  });

  it("is one cloud-config document that is well below the limit", () => {
    const document = renderUserData(config);
    expect(document).toMatch(/^#cloud-config\n/);
    expect(Object.keys(parse(document))).toEqual(["write_files", "runcmd"]);
    expect(Buffer.byteLength(document)).toBeLessThan(USER_DATA_LIMIT / 2);
  });

  it("rejects a document that EC2 would reject", () => {
    expect(() => renderUserData({ ...config, bundleKey: "x".repeat(USER_DATA_LIMIT) })).toThrow(
      /EC2 allows 16384/,
    );
  });

  it("makes the settings readable only by root", () => {
    const { write_files } = parse(renderUserData(config)) as {
      write_files: { path: string; permissions: string }[];
    };
    expect(write_files.find(({ path }) => path === "/etc/qwen3/embed.env")?.permissions).toBe("0600");
  });
});

describe("the bootstrap", () => {
  const { write_files } = parse(renderUserData(config)) as {
    write_files: { path: string; content: string; permissions: string }[];
  };
  const unit = write_files.find(({ path }) => path.endsWith(".service"))!.content;

  it("runs the scripts that the document writes, with the settings that it writes", () => {
    const scripts = [...unit.matchAll(/^ExecStartPre=(\S+)/gm)].map(([, path]) => path);
    const settings = [...unit.matchAll(/^EnvironmentFile=(\S+)/gm)].map(([, path]) => path);
    expect(scripts).toHaveLength(2);
    expect(settings).toHaveLength(2);
    for (const path of scripts) {
      expect(write_files.find((file) => file.path === path)?.permissions).toBe("0755");
    }
    for (const path of settings) {
      expect(write_files.find((file) => file.path === path)?.permissions).toBe("0600");
    }
  });

  it("installs the bundle from the folder into which it is downloaded", () => {
    const [, folder] = /^ExecStartPre=\S+fetch-bundle (\S+)$/m.exec(unit)!;
    expect(unit).toContain(`ExecStart=/bin/sh ${folder}/install.sh\n`);
  });
});

describe("environmentFile", () => {
  it.each(['a"b', "a$b", "a`b", "a\nb", "a\\b"])(
    "rejects %j, which systemd and a shell read differently",
    (value) => {
      expect(() => environmentFile({ NAME: value })).toThrow(/NAME is .* not allowed/);
    },
  );
});

describe("renderBundle", () => {
  const kind = {
    accelerator: "cuda",
    workers: 1,
    maxBodyBytes: 8388608,
    modelSource: config.modelSource,
  } as const;

  it("has the same bytes for the same configuration", async () => {
    expect((await renderBundle(kind)).sha256).toBe((await renderBundle(kind)).sha256);
  });

  it("has different bytes for a different configuration", async () => {
    const sums = await Promise.all(
      [kind, { ...kind, workers: 8 }, { ...kind, accelerator: "cpu" as const }].map(
        async (each) => (await renderBundle(each)).sha256,
      ),
    );
    expect(new Set(sums).size).toBe(3);
  });
});
