export { EmbeddingService } from "./embeddingService";
export type {
  AddressEndpointSettings,
  DomainEndpointSettings,
  EmbeddingServiceArgs,
} from "./embeddingServiceArgs";
export { serviceArgs } from "./embeddingServiceArgs";
export { KEY_PREFIX } from "./keys/apiKey";
export { Budget, type BudgetArgs } from "./operations/budget";
export { Verification, type VerificationArgs } from "./operations/verification";
export { loadSettings, type StackSettings } from "./settings/load";
export { stackName } from "./stackName";
