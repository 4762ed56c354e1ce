import { join } from "node:path";
import { componentProviderHost } from "@pulumi/pulumi/provider/experimental";
import { EmbeddingService } from "../../components/plugin";

// What Pulumi's language host does with components/plugin when the engine starts the package as a provider.
void componentProviderHost({
  name: "qwen3-embedding",
  dirname: join(__dirname, "../../components/plugin"),
  components: [EmbeddingService],
});
