import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { extract } from "tar-stream";
import { describe, expect, it } from "vitest";
import { renderBundle } from "../../components/bundle/bundle";
import { ACCOUNTS, KEYS, PATHS } from "../../components/bundle/contract";
import { contractScript, contractShell } from "../../components/bundle/contractFiles";
import { ROOT } from "../../scripts/lib/paths";

describe("contract.sh", () => {
  it("gives a shell every path and account", () => {
    const folder = mkdtempSync(join(tmpdir(), "qwen3-contract-"));
    const file = join(folder, "contract.sh");
    writeFileSync(file, contractShell());
    try {
      const printed = execFileSync("/bin/sh", ["-euc", `. ${file}; set`], { encoding: "utf8", env: {} });
      const values = [...printed.matchAll(/^QWEN3_\w+='?([^'\n]*)'?$/gm)].map(([, value]) => value);
      expect(values.sort()).toEqual([...Object.values(PATHS), ...Object.values(ACCOUNTS)].sort());
      expect(printed).toMatch(/^QWEN3_CPU_LIBRARY='?\/opt\/qwen3\/lib-cpu'?$/m);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

describe("contract.js", () => {
  it("is a module with the values that auth.js reads", () => {
    const auth = readFileSync(join(ROOT, "machine/gateway/auth.js"), "utf8");
    const names = [...auth.matchAll(/contract\.(\w+)/g)]
      .map(([, name]) => name)
      .filter((name) => name !== "js");
    const [, json] = /^export default (\{[\s\S]*\});$/m.exec(contractScript())!;
    expect(Object.keys(JSON.parse(json!)).sort()).toEqual([...new Set(names)].sort());
    expect(JSON.parse(json!)).toMatchObject({ digests: "/run/qwen3/keys/digests", longestKey: KEYS.longest });
  });

  it("has the paths of another folder, for a gateway without an instance", () => {
    expect(contractScript("/tmp/keys")).toContain('"loaded": "/tmp/keys/loaded"');
  });
});

describe("the bundle", () => {
  const config = { accelerator: "cpu", workers: 1, maxBodyBytes: 1, modelSource: "s3://b/p" } as const;

  it("contains the contract for each language", async () => {
    const { content } = await renderBundle(config);
    const modes = new Map<string, number>();
    const archive = extract();
    archive.end(content);
    for await (const entry of archive) {
      modes.set(entry.header.name, entry.header.mode!);
      entry.resume();
    }
    expect([...modes.keys()]).toEqual(
      expect.arrayContaining([
        "contract.sh",
        "nginx/contract.js",
        "lib/qwen3/contract.json",
        "lib/qwen3/contract.py",
      ]),
    );
    // The other files are run or read by a program that is named before them.
    const executable = [...modes].filter(([, mode]) => mode & 0o111).map(([name]) => name);
    expect(executable).toEqual(["bin/qwen3-audit", "bin/qwen3-check", "bin/qwen3-drain", "bin/qwen3-tune"]);
  });
});

it("is the only place that writes its paths and accounts", () => {
  const written = ["machine/bin", "machine/bootstrap", "machine/gateway", "components/bundle"].flatMap(
    (folder) =>
      readdirSync(join(ROOT, folder), { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map((entry) => join(entry.parentPath, entry.name)),
  );
  for (const file of [...written, join(ROOT, "machine/install.sh"), join(ROOT, "local/gateway.ts")]) {
    const code = readFileSync(file, "utf8").replace(/^ *(#|\/\/|\*|\/\*).*$/gm, "");
    expect(code, file).not.toMatch(
      /\/(opt|run|etc|etc\/nginx|var\/lib|var\/cache)\/qwen3|aiuser|www-data|\b30000\b/,
    );
  }
});
