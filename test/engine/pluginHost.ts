import { join } from "node:path";
import { componentProviderHost } from "@pulumi/pulumi/provider/experimental";
import { EmbeddingService } from "../../components/plugin";

// Serves components/plugin as Pulumi's language host does when the engine starts the package as a provider.
void componentProviderHost({
  name: "qwen3-embedding",
  dirname: join(__dirname, "../../components/plugin"),
  components: [EmbeddingService],
});
