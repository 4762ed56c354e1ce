import { join } from "node:path";
import { ROOT } from "../../local/paths";
import { parseFlags, type Streams, UsageError } from "../lib/commandLine";
import { Redactor, readKey } from "../lib/secrets";
import { awsAccess, clientSecretArn, openStack } from "../lib/stack";
import { EndpointClient } from "../verify/client";
import { embedAll } from "./embed";
import { ndcg } from "./ndcg";
import { rank } from "./rank";
import { readTask, type Task } from "./task";

const USAGE = `usage: npm run evaluate -- --stack STACK [--client NAME] [--task FOLDER] [--instruction TEXT]

Runs a retrieval task through the endpoint and prints nDCG@10 by number of dimensions.

  --stack STACK       the stack whose endpoint it is
  --client NAME       use this client's key instead of the first one's
  --task FOLDER       a task in BEIR's layout: corpus.jsonl, queries.jsonl and qrels/test.tsv or qrels.tsv;
                      without it, a small one in Chinese and English that comes along
  --instruction TEXT  what the queries want, put in front of each
`;

const BUNDLED = join(ROOT, "examples", "corpus");
const INSTRUCTION = "Given a web search query, retrieve relevant passages that answer the query";
/** What is compared; a model with fewer shows those that it has. */
const DIMENSIONS = [2560, 1024, 768, 256];

interface Options {
  stack: string;
  client?: string;
  folder: string;
  instruction: string;
}

/** @returns the exit status */
export async function main(argv: string[], env: NodeJS.ProcessEnv, streams: Streams): Promise<number> {
  try {
    if (argv.includes("--help") || argv.includes("-h")) {
      streams.stdout.write(USAGE);
      return 0;
    }
    await evaluate(parseOptions(argv), env, streams);
    return 0;
  } catch (error) {
    const usage = error instanceof UsageError;
    const text = `evaluate: ${(error as Error).message}\n${usage ? "See --help.\n" : ""}`;
    streams.stderr.write(new Redactor().redact(text));
    return usage ? 2 : 1;
  }
}

async function evaluate(options: Options, env: NodeJS.ProcessEnv, streams: Streams): Promise<void> {
  const task = readTask(options.folder);
  const stack = await openStack(options.stack, env);
  const { endpoint, caCertificate, model } = stack.outputs;
  const key = await readKey(clientSecretArn(stack, options.client), awsAccess(stack));
  const client = new EndpointClient(endpoint, caCertificate, key);
  try {
    const progress = (what: string, all: number) => (done: number) =>
      streams.stderr.write(`${done} of ${all} ${what}\n`);
    const queries = await embedAll(client, textsOf(task.queries), {
      model,
      instruction: options.instruction,
      progress: progress("queries", task.queries.length),
    });
    const documents = await embedAll(client, textsOf(task.documents), {
      model,
      progress: progress("documents", task.documents.length),
    });
    const published = stack.setting("publishedWeights") !== "false";
    streams.stdout.write(report(task, options, scores(task, queries, documents), published));
  } finally {
    await client.close();
  }
}

/** Mean nDCG@10 over the queries, by number of dimensions. */
export function scores(task: Task, queries: Float32Array[], documents: Float32Array[]): [number, number][] {
  const length = documents[0]?.length ?? 0;
  return DIMENSIONS.filter((dimensions) => dimensions <= length).map((dimensions) => {
    const each = task.queries.map(({ id }, i) => {
      const ranking = rank(queries[i]!, documents, dimensions).map((index) => task.documents[index]!.id);
      return ndcg(ranking, task.judgements.get(id)!);
    });
    return [dimensions, each.reduce((sum, value) => sum + value, 0) / each.length];
  });
}

function report(
  task: Task,
  { folder, instruction }: Options,
  rows: [number, number][],
  published: boolean,
): string {
  const name = folder === BUNDLED ? "the bundled task" : folder;
  const judgements = [...task.judgements.values()].reduce((sum, { size }) => sum + size, 0);
  const counts = `${task.documents.length} documents, ${task.queries.length} queries, ${judgements} judgements`;
  const table = rows.map(([dimensions, value]) => {
    const bytes = `${4 * dimensions}`.padStart(6);
    return `${String(dimensions).padStart(10)}  ${value.toFixed(4).padStart(7)}  ${bytes} bytes a vector of float32`;
  });
  const warning = published
    ? []
    : ["These numbers mean nothing: the weights are not the published ones (setting publishedWeights).", ""];
  return [
    `${name}: ${counts}`,
    `instruction: ${instruction}`,
    "",
    ...warning,
    "dimensions  nDCG@10",
    ...table,
    "",
  ].join("\n");
}

function textsOf(texts: { text: string }[]): string[] {
  return texts.map(({ text }) => text);
}

/** @throws UsageError */
function parseOptions(argv: string[]): Options {
  const { values } = parseFlags({
    args: argv,
    options: {
      stack: { type: "string", short: "s" },
      client: { type: "string" },
      task: { type: "string", default: BUNDLED },
      instruction: { type: "string", default: INSTRUCTION },
    },
  });
  if (!values.stack) {
    throw new UsageError("say which stack, with --stack NAME");
  }
  if (values.instruction === "") {
    throw new UsageError('--instruction is "": say what the queries want, or leave it out');
  }
  return { stack: values.stack, client: values.client, folder: values.task, instruction: values.instruction };
}
