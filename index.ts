import "./scripts/lib/nodeVersion";
import * as pulumi from "@pulumi/pulumi";
import { Budget, EmbeddingService, loadSettings, serviceArgs, stackName, Verification } from "./components";
import { summary } from "./scripts/cost/summary";

/** The stack: configuration to service to outputs. */
export = async () => {
  const settings = loadSettings();
  const name = stackName(pulumi.getStack());
  if (pulumi.runtime.isDryRun()) {
    pulumi.log.info(summary(pulumi.getStack(), settings));
  }
  const service = new EmbeddingService(name, serviceArgs(settings));
  // What AWS cannot provide for is one error, not one for each resource that depends on it.
  await service.declared;

  if (settings.budgetMonthlyUsd > 0) {
    new Budget(name, { monthlyUsd: settings.budgetMonthlyUsd, emails: settings.budgetEmails });
  }
  new Verification(name, { service, ...settings });

  const { endpoint, caCertificate, model, dimensions, region, instanceId, autoScalingGroup } = service;
  const { imageId, imageUrn, secretArns, apiKeyUrns, secretArn, apiKeyUrn } = service;
  return {
    endpoint,
    caCertificate,
    model,
    dimensions,
    region,
    ...(settings.domain ? { autoScalingGroup } : { instanceId }),
    imageId,
    ...(settings.imageId ? {} : { imageUrn }),
    secretArns,
    apiKeyUrns,
    secretArn,
    apiKeyUrn,
  };
};
