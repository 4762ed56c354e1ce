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
import { announcement, LOCAL_ENVIRONMENT } from "./installs";
import { installPrograms, unsupported } from "./preflight";
import { bringUp } from "./up";

const HINT = "Nothing outside the environment's own folder was changed; `npm stop` removes it.";

/** Prepares a local environment if there is no usable one, and deploys its stack. */
export async function startEnvironment(name: string, context: Context): Promise<void> {
  const reason = unsupported();
  if (reason) {
    throw new Error(`${reason}.\nThe unit tests run on any computer: npm run test:unit`);
  }
  context.out(announcement(LOCAL_ENVIRONMENT));
  try {
    await new Listr(tasks(name, readEnvironment(name)), {
      fallbackRenderer: "simple",
      rendererOptions: { collapseErrors: false },
    }).run();
    const outputs = await bringUp(readEnvironment(name)!);
    context.out(howToTry(name, outputs));
  } catch (error) {
    throw new Error(`${(error as Error).message}\n${HINT}`);
  }
}

function tasks(name: string, existing: Environment | undefined): ListrTask[] {
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
        const changed = updateSettings(existing!);
        task.title += `: ${changed.length > 0 ? `changed ${changed.join(", ")}` : "as before"}`;
      },
    },
    ...preparation(name).map(
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

/** The endpoint, the outputs, and a command that can be pasted as it is. */
function howToTry(name: string, outputs: OutputMap): string {
  const shown = ["endpoint", "model", "dimensions", "region", "instanceId", "secretArn", "apiKeyUrn"];
  const width = Math.max(...shown.map((output) => output.length));
  return `
The endpoint is up and verified.

${shown.map((output) => `  ${output.padEnd(width)}  ${outputs[output]?.value}`).join("\n")}

Try it:
  eval "$(npm run -s env -- --stack ${name} | sed 's/^/export /')"
  curl --cacert "$EMBEDDING_CA_FILE" -H "Authorization: Bearer $EMBEDDING_API_KEY" -H "Content-Type: application/json" \\
    -d "{\\"model\\":\\"$EMBEDDING_MODEL\\",\\"input\\":\\"Hello\\"}" "$EMBEDDING_API_BASE/embeddings"

Verify it again:  npm run verify -- --stack ${name}
Remove it:        npm stop${name === "local" ? "" : ` -- ${name}`}
`;
}
