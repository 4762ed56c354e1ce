import { join } from "node:path";
import { type Command, Option } from "commander";
import { type Context, clientOption, matching, option, ScriptCommand, stackOption } from "../lib/commandLine";
import { ROOT } from "../lib/paths";

export const BUNDLED_TASK = join(ROOT, "examples", "corpus");
const INSTRUCTION = "Given a web search query, retrieve relevant passages that answer the query";

export interface EvaluateOptions {
  stack: string;
  client?: string;
  /** A folder. */
  task: string;
  instruction: string;
}

/** `npm run evaluate`. */
export function evaluateCommand(context: Context): Command {
  return new ScriptCommand("evaluate")
    .description("Run a retrieval task through the endpoint, and print nDCG@10 by number of dimensions.")
    .addRequiredOption(stackOption("the stack whose endpoint it is"))
    .addOption(clientOption())
    .addOption(
      new Option(
        "--task <folder>",
        "a task in BEIR's layout: corpus.jsonl, queries.jsonl and qrels/test.tsv or qrels.tsv",
      ).default(BUNDLED_TASK, "a small one in Chinese and English, examples/corpus"),
    )
    .addOption(
      option(
        "--instruction <text>",
        "what the queries ask for, put in front of each",
        matching(/./s, "a text; without the option, that of the model card"),
      ).default(INSTRUCTION),
    )
    .action(async (options: EvaluateOptions) => {
      const { evaluate } = await import("./main");
      await evaluate(options, context);
    });
}
