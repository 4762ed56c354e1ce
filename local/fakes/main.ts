import { type ProviderDefinition, serve } from "./framework";

/** `main.ts NAME [ENGINE]`: serves the fake of a provider, as the engine starts it. */
const PROVIDERS: Record<string, () => Promise<ProviderDefinition>> = {
  aws: async () => (await import("./aws/index")).aws,
  command: async () => (await import("./command")).command,
  random: async () => (await import("./random")).random,
  tls: async () => (await import("./tls")).tls,
};

async function main(): Promise<void> {
  const name = process.argv[2] ?? "";
  const load = PROVIDERS[name];
  if (!load) {
    throw new Error(
      `no fake of the provider ${JSON.stringify(name)}; there are fakes of ${Object.keys(PROVIDERS).join(", ")}`,
    );
  }
  await serve(await load());
}

main().catch((error: unknown) => {
  console.error(error);
  process.exit(1);
});
