// defaults.mjs NAME: one call of a client with its defaults, with only the base URL and the key.
const baseURL = process.env.EMBEDDING_API_BASE;
const apiKey = process.env.EMBEDDING_API_KEY;
const model = process.env.EMBEDDING_MODEL;
const texts = Array.from({ length: 11 }, (_, i) => `line ${i}\nanother`);

const calls = {
  async openai() {
    const { default: OpenAI } = await import("openai");
    await new OpenAI({ baseURL, apiKey }).embeddings.create({ model, input: texts, instruction: "Find it" });
  },
  async openaiKeyFunction() {
    const { default: OpenAI } = await import("openai");
    const keys = ["rotated away", apiKey];
    const client = new OpenAI({ baseURL, apiKey: async () => keys.shift() });
    const ask = () => client.embeddings.create({ model, input: texts });
    await ask().catch((error) => (error.status === 401 ? ask() : Promise.reject(error)));
  },
  async langchain() {
    const { OpenAIEmbeddings } = await import("@langchain/openai");
    const embeddings = new OpenAIEmbeddings({ model, apiKey, configuration: { baseURL } });
    console.log(embeddings.caller.maxRetries);
    await embeddings.embedDocuments(texts);
    await embeddings.embedDocuments(Array(513).fill("a"));
  },
  async vercel() {
    const { createOpenAICompatible } = await import("@ai-sdk/openai-compatible");
    const { embedMany } = await import("ai");
    const provider = createOpenAICompatible({ name: "qwen3", baseURL, apiKey });
    const providerOptions = { qwen3: { instruction: "Find it", dimensions: 768 } };
    await embedMany({ model: provider.embeddingModel(model), values: texts, providerOptions });
    await embedMany({ model: provider.embeddingModel(model), values: Array(2049).fill("a") });
  },
};

await calls[process.argv[2]]();
