import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { embedAll } from "../../scripts/evaluate/embed";
import { scores } from "../../scripts/evaluate/main";
import { ndcg } from "../../scripts/evaluate/ndcg";
import { rank } from "../../scripts/evaluate/rank";
import { readTask } from "../../scripts/evaluate/task";
import { ROOT } from "../../scripts/lib/paths";
import type { EndpointClient } from "../../scripts/verify/client";

describe("nDCG@10", () => {
  const judged = (values: Record<string, number>) => new Map(Object.entries(values));
  const numbered = Array.from({ length: 12 }, (_, i) => `d${i}`);

  // The expected values are pytrec_eval's ndcg_cut.10 for the same judgements and order.
  it.each([
    ["two relevant, second and last", ["d9", "d1", "d8", "d7", "d2"], { d1: 1, d2: 1 }, 0.6240505200038379],
    [
      "graded, one of them below rank ten",
      ["d2", "d9", "d1", "d8", "d7", "d6", "d5", "d4", "d0", "da", "d3"],
      { d1: 2, d2: 1, d3: 1 },
      0.6387878864795979,
    ],
    ["more relevant than ten", numbered.toReversed(), Object.fromEntries(numbered.map((id) => [id, 1])), 1],
    ["nothing found", ["y", "z"], { x: 1 }, 0],
    ["nothing relevant", ["y", "z"], { y: 0 }, 0],
  ])("%s", (_, ranking, judgements, expected) => {
    expect(ndcg(ranking, judged(judgements as Record<string, number>))).toBeCloseTo(expected, 12);
  });
});

describe("ranking", () => {
  it("ranks by the cosine of the first dimensions", () => {
    const query = Float32Array.of(1, 0, 0, 0);
    const documents = [
      Float32Array.of(0.6, 0, 0, 0.8),
      Float32Array.of(0.8, 0.6, 0, 0),
      Float32Array.of(-1, 0, 0, 0),
    ];
    expect(rank(query, documents, 4)).toEqual([1, 0, 2]);
    // With two dimensions, the first document has the direction of the query.
    expect(rank(query, documents, 2)).toEqual([0, 1, 2]);
  });

  it("scores a task by dimensions: information in the last dimensions is lost with them", () => {
    const at = (index: number) => Float32Array.from({ length: 2560 }, (_, i) => (i === index ? 1 : 0.001));
    const task = {
      documents: [
        { id: "a", text: "a" },
        { id: "b", text: "b" },
      ],
      queries: [{ id: "q", text: "q" }],
      judgements: new Map([["q", new Map([["b", 1]])]]),
    };
    const second = 1 / Math.log2(3);
    const result = scores(task, [at(900)], [at(2000), at(900)]);
    expect(result.map(([dimensions]) => dimensions)).toEqual([2560, 1024, 768, 256]);
    expect(result.map(([, value]) => value)).toEqual([1, 1, second, second]);
  });
});

describe("a task", () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "qwen3-task-"));
    mkdirSync(join(folder, "qrels"));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  const write = (files: Record<string, string>) => {
    const whole = {
      "corpus.jsonl":
        '{"_id": "d1", "title": "Capitals", "text": "Beijing is one."}\n{"_id": "d2", "text": "二"}\n',
      "queries.jsonl": '{"_id": "q1", "text": "capital"}\n{"_id": "q2", "text": "not judged"}\n',
      "qrels/test.tsv": "query-id\tcorpus-id\tscore\nq1\td1\t1\n",
      ...files,
    };
    for (const [name, text] of Object.entries(whole)) {
      writeFileSync(join(folder, name), text);
    }
  };

  it("is read in BEIR's format, without queries that have no judgement", () => {
    write({});
    expect(readTask(folder)).toEqual({
      documents: [
        { id: "d1", text: "Capitals Beijing is one." },
        { id: "d2", text: "二" },
      ],
      queries: [{ id: "q1", text: "capital" }],
      judgements: new Map([["q1", new Map([["d1", 1]])]]),
    });
  });

  it.each([
    ["corpus.jsonl", "{", /corpus\.jsonl:1: not JSON/],
    ["corpus.jsonl", '{"_id": "d1", "text": "a"}\n{"_id": 2, "text": "a"}', /corpus\.jsonl:2: not {"_id"/],
    ["corpus.jsonl", '{"_id": "d1", "text": " "}', /corpus\.jsonl:1: the text is empty/],
    ["corpus.jsonl", '{"_id": "d1", "text": "a"}\n{"_id": "d1", "text": "b"}', /an _id is on two lines/],
    ["queries.jsonl", "[]", /queries\.jsonl:1: not {"_id"/],
    [
      "qrels/test.tsv",
      "query-id\tcorpus-id\tscore\nq1\td9\t1",
      /test\.tsv:2: not QUERY<tab>DOCUMENT<tab>SCORE/,
    ],
    ["qrels/test.tsv", "query-id\tcorpus-id\tscore\nq1 d1 1", /test\.tsv:2: not QUERY/],
    ["qrels/test.tsv", "query-id\tcorpus-id\tscore\n", /no judgements/],
  ])("with a wrong %s is rejected with file and line: %s", (name, text, message) => {
    write({ [name]: text });
    expect(() => readTask(folder)).toThrow(message);
  });

  it("without judgements names the expected files", () => {
    write({});
    rmSync(join(folder, "qrels"), { recursive: true });
    expect(() => readTask(folder)).toThrow(/neither qrels\/test\.tsv nor qrels\.tsv/);
    expect(() => readTask(join(folder, "none"))).toThrow(/there is no .*corpus\.jsonl/);
  });

  it("is bundled, half in Chinese and half in English, and every query has a relevant document in both", () => {
    const task = readTask(join(ROOT, "examples", "corpus"));
    expect(task.documents.length).toBeGreaterThanOrEqual(200);
    const chinese = task.documents.filter(({ text }) => /\p{Script=Han}/u.test(text));
    expect(chinese.length).toBe(task.documents.length / 2);
    expect(new Set(task.documents.map(({ text }) => text)).size).toBe(task.documents.length);
    for (const answers of task.judgements.values()) {
      expect([...answers.keys()].map((id) => id.slice(-3)).sort()).toEqual(["-en", "-zh"]);
    }
  });
});

describe("embedding a task", () => {
  const answer = (status: number, body: unknown = {}) => ({
    status,
    headers: { "retry-after": "0" },
    text: JSON.stringify(body),
    json: body,
  });
  const vectorsOf = (input: string[]) => ({
    data: input.map((text) => ({
      embedding: Buffer.from(Float32Array.of(Number(text), 0.5).buffer).toString("base64"),
    })),
  });

  it("keeps the order over many requests, and retries after a temporary error", async () => {
    let requests = 0;
    const send = async ({ body }: { body: { input: string[]; instruction?: string } }) => {
      expect(body.instruction).toBe("Find it");
      requests += 1;
      return requests % 3 === 0 ? answer(requests % 2 ? 429 : 503) : answer(200, vectorsOf(body.input));
    };
    const texts = Array.from({ length: 200 }, (_, i) => String(i));
    const client = { send } as unknown as EndpointClient;
    const vectors = await embedAll(client, texts, { model: "m", instruction: "Find it" });
    expect(vectors.map((vector) => [...vector])).toEqual(texts.map((text) => [Number(text), 0.5]));
    expect(requests).toBeGreaterThan(7);
  });

  it("fails with the server's error", async () => {
    const send = async () => answer(400, { error: { message: "input[3] must not be empty." } });
    const client = { send } as unknown as EndpointClient;
    await expect(embedAll(client, ["a"], { model: "m" })).rejects.toThrow(/400.*must not be empty/);
  });
});
