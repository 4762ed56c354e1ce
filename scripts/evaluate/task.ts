import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";

export interface Text {
  id: string;
  text: string;
}

/** A retrieval task: which documents are relevant to which queries. */
export interface Task {
  documents: Text[];
  /** Queries that have judgements. */
  queries: Text[];
  /** By query ID, then by document ID. Above 0 is relevant. */
  judgements: Map<string, Map<string, number>>;
}

const QRELS = ["qrels/test.tsv", "qrels.tsv"];

/**
 * Reads a task in BEIR's format: corpus.jsonl and queries.jsonl with one `{"_id", "text"}` per line (`title` is put in
 * front of a document's text), and qrels/test.tsv or qrels.tsv with one `QUERY<tab>DOCUMENT<tab>SCORE` per line after a
 * heading.
 *
 * @throws Error that names the file and the line.
 */
export function readTask(folder: string): Task {
  const documents = readTexts(join(folder, "corpus.jsonl"));
  const queries = readTexts(join(folder, "queries.jsonl"));
  const name = QRELS.find((file) => existsSync(join(folder, file)));
  if (name === undefined) {
    throw new Error(`${folder} has neither ${QRELS.join(" nor ")}, which list the relevant documents`);
  }
  const judgements = readJudgements(join(folder, name), idsOf(queries), idsOf(documents));
  return { documents, queries: queries.filter(({ id }) => judgements.has(id)), judgements };
}

function readTexts(file: string): Text[] {
  const texts = lines(file).map(({ line, where }) => {
    const { _id: id, title, text } = parse(line, where);
    if (
      typeof id !== "string" ||
      typeof text !== "string" ||
      (title !== undefined && typeof title !== "string")
    ) {
      throw new Error(`${where}: not {"_id": "…", "text": "…"} with text in both, and in title if present`);
    }
    const whole = `${title ?? ""} ${text}`.trim();
    if (whole === "") {
      throw new Error(`${where}: the text is empty`);
    }
    return { id, text: whole };
  });
  if (idsOf(texts).size < texts.length) {
    throw new Error(`${file}: an _id is on two lines`);
  }
  return texts;
}

function readJudgements(file: string, queries: Set<string>, documents: Set<string>): Task["judgements"] {
  const judgements: Task["judgements"] = new Map();
  for (const { line, where } of lines(file).slice(1)) {
    const [query = "", document = "", score = ""] = line.split("\t");
    if (!queries.has(query) || !documents.has(document) || !/^-?\d+$/.test(score)) {
      throw new Error(
        `${where}: not QUERY<tab>DOCUMENT<tab>SCORE with IDs of queries.jsonl and corpus.jsonl`,
      );
    }
    judgements.set(query, (judgements.get(query) ?? new Map<string, number>()).set(document, Number(score)));
  }
  if (judgements.size === 0) {
    throw new Error(`${file} has no judgements after its heading`);
  }
  return judgements;
}

function lines(file: string): { line: string; where: string }[] {
  if (!existsSync(file)) {
    throw new Error(`there is no ${file}`);
  }
  return readFileSync(file, "utf8")
    .split(/\r?\n/)
    .map((line, i) => ({ line, where: `${file}:${i + 1}` }))
    .filter(({ line }) => line.trim() !== "");
}

function parse(line: string, where: string): Record<string, unknown> {
  try {
    return Object(JSON.parse(line));
  } catch {
    throw new Error(`${where}: not JSON`);
  }
}

function idsOf(texts: Text[]): Set<string> {
  return new Set(texts.map(({ id }) => id));
}
