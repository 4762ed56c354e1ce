import { ACCOUNTS, KEY_FILES, KEYS, PATHS } from "./contract";

const ORIGIN = "Rendered from machine/qwen3/contract.json by components/bundle/contractFiles.ts.";

/**
 * contract.js, which gateway/auth.js imports.
 *
 * @param keys the folder with the digests
 */
export function contractScript(keys: string = PATHS.keys): string {
  const values = {
    digests: `${keys}/${KEY_FILES.digests}`,
    loaded: `${keys}/${KEY_FILES.loaded}`,
    token: KEYS.token,
    longestKey: KEYS.longest,
    clientName: KEYS.clientName,
  };
  return `// ${ORIGIN}\nexport default ${JSON.stringify(values, null, 2)};\n`;
}

/** contract.sh, which the bundle's shell scripts read: every path and account, for example `QWEN3_CPU_LIBRARY`. */
export function contractShell(): string {
  const lines = Object.entries({ ...PATHS, ...ACCOUNTS }).map(([name, value]) => {
    if (!/^[\w./-]+$/.test(value)) {
      throw new Error(
        `${name} in contract.json is ${JSON.stringify(value)}: a shell would not read it as one word`,
      );
    }
    return `QWEN3_${name.replace(/[A-Z]/g, "_$&").toUpperCase()}=${value}\n`;
  });
  return `# shellcheck shell=sh disable=SC2034 # ${ORIGIN}\n${lines.join("")}`;
}
