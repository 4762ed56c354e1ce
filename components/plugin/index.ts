export { EmbeddingService } from "./embeddingService";
