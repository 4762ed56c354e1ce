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
    .addRequiredOption(stackOption("the stack whose endpoint to use"))
    .addOption(clientOption())
    .addOption(
      new Option(
        "--task <folder>",
        "a folder with a task in BEIR's format: corpus.jsonl, queries.jsonl and qrels/test.tsv or qrels.tsv",
      ).default(BUNDLED_TASK, "examples/corpus, a small task in Chinese and English"),
    )
    .addOption(
      option(
        "--instruction <text>",
        "the instruction that is put in front of each query",
        matching(/./s, "a text; the default is the model card's instruction"),
      ).default(INSTRUCTION),
    )
    .action(async (options: EvaluateOptions) => {
      const { evaluate } = await import("./main");
      await evaluate(options, context);
    });
}
