import type { OutputMap } from "@pulumi/pulumi/automation";
import { Listr, type ListrTask } from "listr2";
import type { Context } from "../scripts/lib/commandLine";
import {
  type Environment,
  isUsable,
  preparation,
  readEnvironment,
  removeEnvironment,
  updateSettings,
} from "./environment";
import { announcement, LOCAL_ENVIRONMENT, REAL_PROVIDER_ENVIRONMENT } from "./installs";
import { installPrograms, unsupported } from "./preflight";
import { bringUp } from "./up";

const HINT = "Nothing outside the environment's own folder was changed; `npm stop` removes it.";

/**
 * Prepares a local environment if there is no usable one, and deploys its stack.
 *
 * @param realProvider whether AWS's own provider is used (realProvider.ts); false by default
 */
export async function startEnvironment(
  name: string,
  context: Context,
  { realProvider = false }: { realProvider?: boolean } = {},
): Promise<void> {
  const reason = unsupported();
  if (reason) {
    throw new Error(`${reason}.\nThe unit tests run on any computer: npm run test:unit`);
  }
  const existing = readEnvironment(name);
  if (existing !== undefined && (existing.realProvider ?? false) !== realProvider) {
    throw new Error(
      `--real-provider is ${realProvider ? "set" : "not set"}; allowed for the local environment ${name}: as when it ` +
        `was started. To start it anew, remove it with \`npm stop -- ${name}\`.`,
    );
  }
  context.out(announcement(realProvider ? REAL_PROVIDER_ENVIRONMENT : LOCAL_ENVIRONMENT));
  try {
    await new Listr(tasks(name, existing, realProvider), {
      fallbackRenderer: "simple",
      rendererOptions: { collapseErrors: false },
    }).run();
    const outputs = await bringUp(readEnvironment(name)!);
    context.out(realProvider ? created(name, outputs) : howToTry(name, outputs));
  } catch (error) {
    throw new Error(`${(error as Error).message}\n${HINT}`);
  }
}

function tasks(name: string, existing: Environment | undefined, realProvider: boolean): ListrTask[] {
  const stale = existing !== undefined && !isUsable(existing);
  return [
    {
      title: "Programs",
      task: async (_, task) => {
        task.title += `: ${await installPrograms((line) => {
          task.output = line;
        })}`;
      },
    },
    {
      title: "Remove what an earlier environment left behind",
      enabled: stale,
      task: () => removeEnvironment(existing!),
    },
    {
      title: "Settings of Pulumi.local.yaml",
      enabled: existing !== undefined && !stale,
      task: (_, task) => {
        // Those of AWS's own provider are set again by bringUp.
        const changed = updateSettings(existing!).filter((key) => !realProvider || !key.startsWith("aws:"));
        task.title += `: ${changed.length > 0 ? `changed ${changed.join(", ")}` : "as before"}`;
      },
    },
    ...preparation(name, realProvider).map(
      (step): ListrTask => ({
        title: step.title,
        enabled: existing === undefined || stale,
        task: async (_, task) => {
          const found = await step.run((line) => {
            task.output = line;
          });
          task.title += `: ${found}`;
        },
      }),
    ),
  ];
}

function list(outputs: OutputMap, ...shown: string[]): string {
  const width = Math.max(...shown.map((output) => output.length));
  return shown.map((output) => `  ${output.padEnd(width)}  ${outputs[output]?.value}`).join("\n");
}

/** What an environment with AWS's own provider is. */
function created(name: string, outputs: OutputMap): string {
  return `
AWS's own provider created every resource in the emulator. No instance booted, so there is no endpoint to call, and
nothing was verified.

${list(outputs, "region", "instanceId", "secretArn", "apiKeyUrn")}

Apply a change:   npm start -- --real-provider${name === "local" ? "" : ` ${name}`}
Remove it:        npm stop${name === "local" ? "" : ` -- ${name}`}
`;
}

/** The endpoint, the outputs, and a command that can be pasted as it is. */
function howToTry(name: string, outputs: OutputMap): string {
  return `
The endpoint is up and verified.

${list(outputs, "endpoint", "model", "dimensions", "region", "instanceId", "secretArn", "apiKeyUrn")}

Try it:
  eval "$(npm run -s env -- --stack ${name} | sed 's/^/export /')"
  curl --cacert "$EMBEDDING_CA_FILE" -H "Authorization: Bearer $EMBEDDING_API_KEY" -H "Content-Type: application/json" \\
    -d "{\\"model\\":\\"$EMBEDDING_MODEL\\",\\"input\\":\\"Hello\\"}" "$EMBEDDING_API_BASE/embeddings"

Verify it again:  npm run verify -- --stack ${name}
Remove it:        npm stop${name === "local" ? "" : ` -- ${name}`}
`;
}
