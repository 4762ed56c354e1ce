import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Processes } from "../lib/processes";

/**
 * LiteLLM's proxy in front of an endpoint, one process, with its master key. Virtual keys would require its database
 * client, whose engine is downloaded from its own site.
 *
 * @param environment a virtual environment with `litellm[proxy]`
 * @returns its base URL
 */
export async function startLiteLlm(
  processes: Processes,
  environment: string,
  folder: string,
  port: number,
  upstream: string,
  served: string,
  key: string,
): Promise<string> {
  const config = {
    model_list: [
      {
        model_name: served,
        litellm_params: { model: `openai/${served}`, api_base: upstream, api_key: "none" },
      },
    ],
    litellm_settings: { telemetry: false },
  };
  const file = join(folder, "litellm.json");
  writeFileSync(file, JSON.stringify(config));
  processes.start(
    "litellm",
    join(environment, "bin/litellm"),
    ["--config", file, "--host", "127.0.0.1", "--port", String(port), "--num_workers", "1"],
    {
      PATH: process.env.PATH,
      HOME: folder,
      LITELLM_MASTER_KEY: key,
      LITELLM_LOCAL_MODEL_COST_MAP: "True",
      LITELLM_LOG: "ERROR",
    },
  );
  await processes.untilReplying("litellm", `http://127.0.0.1:${port}/health/liveliness`);
  return `http://127.0.0.1:${port}/v1`;
}
