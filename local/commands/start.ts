import type { OutputMap } from "@pulumi/pulumi/automation";
import { Listr } from "listr2";
import { isUsable, preparation, readEnvironment, removeEnvironment } from "../environment";
import { installPrograms, unsupported } from "../preflight";
import { bringUp } from "../up";

/** `npm start`: the whole stack on the machine in front of you. */
async function main(name: string): Promise<void> {
  const reason = unsupported();
  if (reason) {
    console.error(`${reason}.\nThe unit tests run anywhere: npm run test:unit`);
    process.exitCode = 1;
    return;
  }
  const existing = readEnvironment(name);
  const stale = existing !== undefined && !isUsable(existing);
  await new Listr(
    [
      {
        title: "Programs",
        task: async (_, task) => {
          task.title += `: ${await installPrograms((line) => {
            task.output = line;
          })}`;
        },
      },
      {
        title: "What an earlier environment left behind is removed",
        enabled: stale,
        task: () => removeEnvironment(existing!),
      },
      ...preparation(name).map((step) => ({
        title: step.title,
        enabled: existing === undefined || stale,
        task: async (_: unknown, task: { title: string; output: string }) => {
          const found = await step.run((line) => {
            task.output = line;
          });
          task.title += `: ${found}`;
        },
      })),
    ],
    { fallbackRenderer: "simple", rendererOptions: { collapseErrors: false } },
  ).run();
  const environment = readEnvironment(name)!;
  const outputs = await bringUp(environment);
  printHowToTry(environment.name, outputs);
}

/** The endpoint, the outputs, and a command that works as it is pasted. */
function printHowToTry(name: string, outputs: OutputMap): void {
  const shown = ["endpoint", "model", "dimensions", "region", "instanceId", "secretArn", "apiKeyUrn"];
  const width = Math.max(...shown.map((output) => output.length));
  console.log(`
The endpoint is up and verified.

${shown.map((output) => `  ${output.padEnd(width)}  ${outputs[output]?.value}`).join("\n")}

Try it:
  eval "$(npm run -s env -- --stack ${name} | sed 's/^/export /')"
  curl --cacert "$EMBEDDING_CA_FILE" -H "Authorization: Bearer $EMBEDDING_API_KEY" -H "Content-Type: application/json" \\
    -d "{\\"model\\":\\"$EMBEDDING_MODEL\\",\\"input\\":\\"Hello\\"}" "$EMBEDDING_API_BASE/embeddings"

Check it again:  npm run verify -- --stack ${name}
Take it down:    npm stop`);
}

main(process.argv[2] ?? "local").catch((error: Error) => {
  console.error(
    `\n${error.message}\nNothing outside the environment's own folder was changed; \`npm stop\` removes it.`,
  );
  process.exitCode = 1;
});
