import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { CACHE, ROOT } from "../scripts/lib/paths";
import { engineIsThere, prepareEngine } from "./engine";
import { buildImage, imageFolder } from "./image";
import { installPrograms, missingPackages } from "./preflight";
import { pythonIsThere, pythonWith } from "./python";

type Progress = (line: string) => void;

/** Something that is installed once, outside the repository. */
export interface Install {
  /** Its name, with its measured size on the disk. */
  what: string;
  isThere(): boolean;
  /** Absent if an instance installs it. */
  install?(onProgress: Progress): Promise<unknown>;
}

/** Debian packages. They are not kept in the cache. */
export const PROGRAMS: Install = {
  get what() {
    return `from the distribution's archives: ${missingPackages().join(", ")}`;
  },
  isThere: () => missingPackages().length === 0,
  install: installPrograms,
};

export const ENGINE: Install = {
  what: "Pulumi's engine, 110 MB; if Pulumi's site cannot be reached, built from its Go module, which takes minutes",
  isThere: engineIsThere,
  install: (onProgress) => prepareEngine(join(CACHE, "engine", "providers"), onProgress),
};

export const IMAGE: Install = {
  what: "an image of this distribution for containers, 410 MB",
  isThere: () => existsSync(imageFolder()),
  install: buildImage,
};

/** The Python packages of a lock file. */
export function pythonPackages(lock: string, what: string): Install {
  const path = join(ROOT, lock);
  return {
    what: `Python packages ${what}, ${lock}`,
    isThere: () => pythonIsThere(path),
    install: (onProgress) => pythonWith(path, onProgress),
  };
}

export const EMULATOR = pythonPackages("local/aws/requirements.lock", "of the AWS emulator, 430 MB");

export const SGLANG: Install = {
  what: "SGLang and its dependencies, 5 GB to download and 11 GB on the disk, by the first instance that boots",
  isThere: () => {
    const venvs = join(CACHE, "store", "venvs");
    return existsSync(venvs) && readdirSync(venvs).some((venv) => existsSync(join(venvs, venv, ".complete")));
  },
};

/** What a local environment requires. */
export const LOCAL_ENVIRONMENT: readonly Install[] = [PROGRAMS, ENGINE, EMULATOR, IMAGE, SGLANG];

/** What a local environment with AWS's own provider requires, in which no instance boots. */
export const REAL_PROVIDER_ENVIRONMENT: readonly Install[] = [PROGRAMS, ENGINE, EMULATOR];

/** Lists what is missing, before it is installed. Returns an empty string if nothing is. */
export function announcement(installs: readonly Install[]): string {
  const missing = installs.filter((each) => !each.isThere());
  return missing.length === 0
    ? ""
    : `Not installed yet. This command installs, into ${CACHE}:\n${missing.map(({ what }) => `  - ${what}`).join("\n")}\n`;
}

/** Installs what is missing, in sequence: two installations with a common requirement must not both install it. */
export async function installMissing(installs: readonly Install[], onProgress: Progress): Promise<void> {
  for (const each of installs) {
    if (!each.isThere()) {
      await each.install?.(onProgress);
    }
  }
}
