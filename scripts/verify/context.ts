import { excerpt } from "../lib/text";
import type { EndpointClient } from "./client";
import { expect } from "./row";

/** Maximum number of tokens of a text, including the end-of-text token, as the endpoint reports it. */
export async function contextLimit(client: EndpointClient): Promise<number> {
  const reply = await client.send({ method: "GET", path: "/v1/models", authorization: "key" });
  const list = reply.json as { data?: { max_model_len?: unknown }[] } | undefined;
  const limit = Array.isArray(list?.data) ? list.data[0]?.max_model_len : undefined;
  expect(
    typeof limit === "number" && Number.isInteger(limit) && limit > 0,
    `GET /v1/models has no max_model_len: ${reply.status}: ${excerpt(reply.text)}`,
  );
  return limit;
}

/** A text of this many tokens, without the end-of-text token: Qwen3's tokenizer makes one of each digit. */
export function digits(tokens: number): string {
  return "1".repeat(tokens);
}
