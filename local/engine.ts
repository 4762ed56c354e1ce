import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { CACHE, ROOT } from "../scripts/lib/paths";
import { type FakeProvider, writeFakeProviders } from "./fakeProviders";
import { run, runWithProgress } from "./process";
import { installPlugin } from "./realProvider";

/** The engine that is built if Pulumi's site cannot be reached: the newest version that is a Go module. */
const ENGINE_VERSION = "v3.259.0";

/** Plugins that have a fake. The real one is used wherever it can be installed, except for AWS's, which is requested. */
const PLUGINS = { random: "4.21.2", command: "1.2.1", tls: "5.6.1" } as const;

/** A Pulumi command line and the fake providers that it needs, as folders for PATH. */
export interface Engine {
  pulumi: string;
  path: string;
  /** Where the engine came from, for display. */
  origin: string;
}

/**
 * Finds or builds an engine: one on PATH, else the one that `npx pulumi` downloads, else one built from its Go module.
 *
 * @param providers folder for the fake providers of one environment
 * @param realAws PULUMI_HOME of the environment, if it uses AWS's own provider, which is installed there
 */
export async function prepareEngine(
  providers: string,
  onProgress: (line: string) => void,
  realAws?: string,
): Promise<Engine> {
  const found = onPath() ?? (await lazyInstaller(onProgress)) ?? (await build(onProgress));
  if (realAws !== undefined) {
    onProgress("plugin aws");
    await installPlugin(found.pulumi, realAws);
  }
  const faked = await fakedProviders(found, onProgress);
  await writeFakeProviders(providers, [...(realAws === undefined ? (["aws"] as const) : []), ...faked]);
  return { ...found, path: [join(found.pulumi, ".."), providers, process.env.PATH].join(delimiter) };
}

/** Whether {@link prepareEngine} has nothing to download or build. */
export function engineIsThere(): boolean {
  return onPath() !== undefined || existsSync(builtPath());
}

interface Found {
  pulumi: string;
  origin: string;
  built: boolean;
}

function onPath(): Found | undefined {
  for (const folder of (process.env.PATH ?? "").split(delimiter)) {
    const pulumi = join(folder, "pulumi");
    // node_modules/.bin has the installer of the npm package, which is tried next.
    if (!folder.includes("node_modules") && existsSync(pulumi)) {
      return { pulumi, origin: pulumi, built: false };
    }
  }
  return undefined;
}

async function lazyInstaller(onProgress: (line: string) => void): Promise<Found | undefined> {
  if (existsSync(builtPath())) {
    return undefined;
  }
  onProgress("running the npm package pulumi, which downloads the engine");
  const pulumi = join(ROOT, "node_modules", ".bin", "pulumi");
  try {
    await run(pulumi, ["version"], { timeoutMs: 300_000 });
    return { pulumi, origin: "the npm package pulumi", built: false };
  } catch {
    return undefined;
  }
}

function builtPath(): string {
  return join(CACHE, "engine", ENGINE_VERSION, "pulumi");
}

async function build(onProgress: (line: string) => void): Promise<Found> {
  const target = builtPath();
  if (!existsSync(target)) {
    onProgress(
      `Pulumi's site cannot be reached: building the engine ${ENGINE_VERSION} from its Go module (minutes, once)`,
    );
    const work = join(CACHE, "engine", `build-${process.pid}`);
    mkdirSync(work, { recursive: true });
    try {
      const module = "github.com/pulumi/pulumi/pkg/v3";
      writeFileSync(
        join(work, "go.mod"),
        `module engine\n\ngo 1.25\n\ntool ${module}/cmd/pulumi\n\nrequire ${module} ${ENGINE_VERSION}\n`,
      );
      await runWithProgress("go", ["mod", "tidy"], onProgress, { cwd: work });
      const version = `github.com/pulumi/pulumi/sdk/v3/go/common/version.Version=${ENGINE_VERSION}`;
      await runWithProgress(
        "go",
        [
          "build",
          "-v",
          "-trimpath",
          "-buildvcs=false",
          "-ldflags",
          `-s -w -X ${version}`,
          "-o",
          "pulumi",
          `${module}/cmd/pulumi`,
        ],
        onProgress,
        { cwd: work },
      );
      mkdirSync(join(target, ".."), { recursive: true });
      renameSync(join(work, "pulumi"), target);
    } finally {
      rmSync(work, { recursive: true, force: true });
    }
  }
  return { pulumi: target, origin: `built from its Go module, ${ENGINE_VERSION}`, built: true };
}

/** The providers, other than AWS's, whose plugin cannot be installed. A built engine has no plugins. */
async function fakedProviders(found: Found, onProgress: (line: string) => void): Promise<FakeProvider[]> {
  const names = Object.keys(PLUGINS) as (keyof typeof PLUGINS)[];
  const needed = await Promise.all(
    names.map(async (name) => {
      const reachable = !found.built && (await installs(found.pulumi, name, PLUGINS[name], onProgress));
      return reachable ? [] : [name];
    }),
  );
  return needed.flat();
}

function installs(
  pulumi: string,
  name: string,
  version: string,
  onProgress: (line: string) => void,
): Promise<boolean> {
  onProgress(`plugin ${name} ${version}`);
  return run(pulumi, ["plugin", "install", "resource", name, version], { timeoutMs: 300_000 }).then(
    () => true,
    () => false,
  );
}
