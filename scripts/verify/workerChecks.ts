import type { EndpointClient } from "./client";
import { type Check, expect } from "./row";
import type { Target } from "./target";
import { cosine, isSameText, lowest } from "./vectors";

/** Twice as many as the workers of the largest instances. nginx sends one connection's request to the next worker. */
const TIMES = 16;

/** Which worker of which instance responds makes no difference. */
export function workerChecks(client: EndpointClient, { model }: Target): Check[] {
  return [
    {
      name: "every worker returns the same vector",
      about: "service",
      next: "a text's vector depends on which worker responds: compare the workers with sudo qwen3-check on the instance",
      async run() {
        const one = async (input: string) =>
          (await client.embed({ model, input }, { lastOnConnection: true })).vectors[0] ?? [];
        const other = await one("Gravity holds the moon");
        const first = await one("Bread needs an oven");
        const cosines: number[] = [];
        for (let time = 1; time < TIMES; time += 1) {
          cosines.push(cosine(first, await one("Bread needs an oven")));
        }
        const different = cosine(first, other);
        const wrong = cosines.filter((same) => !isSameText(same, different));
        expect(
          wrong.length === 0,
          `${wrong.length} of ${TIMES} connections returned another vector: cosine down to ${lowest(cosines)}`,
        );
        return `${TIMES} connections, cosine at least ${lowest(cosines)}`;
      },
    },
  ];
}
