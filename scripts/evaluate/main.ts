import type { Context } from "../lib/commandLine";
import { readKey } from "../lib/secrets";
import { awsAccess, clientSecretArn, hasPublishedWeights, openStack } from "../lib/stack";
import { EndpointClient } from "../verify/client";
import { BUNDLED_TASK, type EvaluateOptions } from "./command";
import { embedAll } from "./embed";
import { ndcg } from "./ndcg";
import { rank } from "./rank";
import { readTask, type Task } from "./task";

/** Dimensions to compare. A model with fewer shows only those that it has. */
const DIMENSIONS = [2560, 1024, 768, 256];

/** Embeds the queries and documents of a task, ranks the documents, and prints the scores. */
export async function evaluate(options: EvaluateOptions, context: Context): Promise<void> {
  const task = readTask(options.task);
  const stack = await openStack(options.stack, context.env);
  const { endpoint, caCertificate, model } = stack.outputs;
  const key = await readKey(clientSecretArn(stack, options.client), awsAccess(stack));
  context.hide(key);
  const client = new EndpointClient(endpoint, caCertificate, key);
  try {
    const progress = (what: string, all: number) => (done: number) =>
      context.err(`${done} of ${all} ${what}\n`);
    const queries = await embedAll(client, textsOf(task.queries), {
      model,
      instruction: options.instruction,
      progress: progress("queries", task.queries.length),
    });
    const documents = await embedAll(client, textsOf(task.documents), {
      model,
      progress: progress("documents", task.documents.length),
    });
    context.out(report(task, options, scores(task, queries, documents), hasPublishedWeights(stack)));
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
  { task: folder, instruction }: EvaluateOptions,
  rows: [number, number][],
  publishedWeights: boolean,
): string {
  const name = folder === BUNDLED_TASK ? "the bundled task" : folder;
  const judgements = [...task.judgements.values()].reduce((sum, { size }) => sum + size, 0);
  const counts = `${task.documents.length} documents, ${task.queries.length} queries, ${judgements} judgements`;
  const table = rows.map(([dimensions, value]) => {
    const bytes = `${4 * dimensions}`.padStart(6);
    return `${String(dimensions).padStart(10)}  ${value.toFixed(4).padStart(7)}  ${bytes} bytes per float32 vector`;
  });
  const warning = publishedWeights
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
