import { SERVED_MODEL } from "../../components/bundle/contract";
import { excerpt } from "../lib/text";
import { apiError, type EndpointClient } from "./client";
import { contextLimit, digits } from "./context";
import { type Check, expect, WORKER_LOG } from "./row";
import type { Target } from "./target";

/** A request that must be refused. */
interface Invalid {
  what: string;
  body: object;
  status: number;
  param: string;
  code: string | null;
}

/** What a request may be. A server that passes over what it does not know returns the vector of something else. */
export function requestChecks(client: EndpointClient, { model, dimensions }: Target): Check[] {
  const valid = { model, input: "hello" };

  return [
    {
      name: "an unknown field or model is refused",
      about: "service",
      next: `a misspelt field would have no effect, without an error: ${WORKER_LOG}`,
      run: () =>
        refuseAll([
          {
            what: "the field instructions",
            body: { ...valid, instructions: "Find it" },
            ...invalid("instructions"),
          },
          { what: "the field truncate", body: { ...valid, truncate: true }, ...invalid("truncate") },
          {
            what: "another model",
            body: { ...valid, model: "text-embedding-3-large" },
            status: 404,
            param: "model",
            code: "model_not_found",
          },
        ]),
    },
    {
      name: "dimensions out of range are refused",
      about: "service",
      next: `vectors would have another length than requested: ${WORKER_LOG}`,
      run: () =>
        refuseAll(
          [0, SERVED_MODEL.fewestDimensions - 1, dimensions + 1].map((wrong) => ({
            what: `dimensions ${wrong}`,
            body: { ...valid, dimensions: wrong },
            ...invalid("dimensions"),
          })),
        ),
    },
    {
      name: "a text above the context is refused",
      about: "service",
      next: `longer texts would lose their end, without an error: compare contextLength with max_model_len, and ${WORKER_LOG}`,
      async run() {
        const limit = await contextLimit(client);
        // One token too many, with the end-of-text token.
        return refuseAll([
          {
            what: `${limit + 1} tokens`,
            body: { model, input: digits(limit) },
            ...invalid("input", "context_length_exceeded"),
          },
        ]);
      },
    },
  ];

  async function refuseAll(requests: Invalid[]): Promise<string> {
    const found = await Promise.all(requests.map(refusalProblem));
    const problems = found.filter((problem) => problem !== undefined);
    expect(problems.length === 0, problems.join("; "));
    return requests
      .map(({ what, status, code }) => `${what}: ${[status, code].filter(Boolean).join(" ")}`)
      .join(", ");
  }

  /** @returns what is wrong with the refusal */
  async function refusalProblem({ what, body, status, param, code }: Invalid): Promise<string | undefined> {
    const reply = await client.send({ method: "POST", path: "/v1/embeddings", authorization: "key", body });
    if (reply.status !== status) {
      return `${what}: ${reply.status} instead of ${status}: ${excerpt(reply.text, 60)}`;
    }
    const error = apiError(reply);
    return error.param === param && error.code === code
      ? undefined
      : `${what}: param ${error.param} and code ${error.code} instead of ${param} and ${code}`;
  }
}

function invalid(param: string, code: string | null = null): Pick<Invalid, "status" | "param" | "code"> {
  return { status: 400, param, code };
}
