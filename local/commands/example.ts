import { InvokeCommand, LambdaClient } from "@aws-sdk/client-lambda";
import { awsClientConfig } from "../../scripts/lib/aws";
import { parseFlags, UsageError } from "../../scripts/lib/commandLine";
import { type Environment, isUsable, readEnvironment } from "../environment";
import { openExample } from "../example";

const USAGE = `usage: npm run example [-- [--stack NAME] [--destroy] [QUERY …]]

Brings the application of examples/app up beside the embedding stack of a local environment, and asks it.

  --stack NAME  the local environment, local without it: npm start brings it up
  --destroy     take the application down again
  QUERY         what to ask instead of one question in English and one in Chinese
`;

const QUERIES = ["Why does ice float on water?", "蝙蝠在黑暗中怎样捕食？"];

interface Found {
  score: number;
  text: string;
}

async function main(argv: string[]): Promise<void> {
  const { values, positionals } = parseFlags({
    args: argv,
    allowPositionals: true,
    options: {
      stack: { type: "string", default: "local" },
      destroy: { type: "boolean" },
      help: { type: "boolean" },
    },
  });
  if (values.help) {
    console.log(USAGE);
    return;
  }
  const environment = readEnvironment(values.stack);
  if (!environment || !isUsable(environment)) {
    throw new Error(`there is no local environment ${values.stack}: npm start brings one up`);
  }
  const stack = await openExample(environment);
  const output = { onOutput: write, suppressProgress: true, color: colour() };
  if (values.destroy) {
    await stack.destroy({ ...output, remove: true });
    return;
  }
  const { outputs } = await stack.up(output);
  console.log("What is found means nothing here: the local environment's weights are random.\n");
  for (const query of positionals.length > 0 ? positionals : QUERIES) {
    const results = await ask(environment, outputs.functionName?.value, query);
    console.log([query, ...results.map(({ score, text }) => `  ${score.toFixed(4)}  ${text}`)].join("\n"));
  }
}

/** Invokes the function as whoever may. @throws Error with what it failed with */
async function ask(environment: Environment, functionName: string, query: string): Promise<Found[]> {
  const client = new LambdaClient(awsClientConfig({ region: "us-east-1", env: environment.env }));
  try {
    const answer = await client.send(
      new InvokeCommand({ FunctionName: functionName, Payload: JSON.stringify({ query }) }),
    );
    const body = JSON.parse(Buffer.from(answer.Payload ?? []).toString());
    if (answer.FunctionError) {
      throw new Error(`the function failed: ${body.errorMessage}`);
    }
    return body.results;
  } finally {
    client.destroy();
  }
}

function write(text: string): void {
  process.stdout.write(text);
}

function colour(): "always" | "never" {
  return process.stdout.isTTY ? "always" : "never";
}

main(process.argv.slice(2)).catch((error: Error) => {
  console.error(`example: ${error.message}`);
  process.exitCode = error instanceof UsageError ? 2 : 1;
});
