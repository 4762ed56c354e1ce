import { Provider } from "@pulumi/aws/provider";
import * as pulumi from "@pulumi/pulumi";
import { EmbeddingService, Verification } from "qwen3-embedding-stack";

const config = new pulumi.Config();
const allowedCidrs = config.requireObject<string[]>("allowedCidrs");
const awsEndpointUrl = config.get("awsEndpointUrl");

// One instance with an Elastic IP address, in the region of the stack.
const website = new EmbeddingService("website", {
  endpoint: { kind: "address" },
  clients: ["search", "chat"],
  allowedCidrs,
  awsEndpointUrl,
});
new Verification("website", { service: website, awsEndpointUrl });

// A fleet behind a domain in another region: all resources use the provider.
const ireland = new Provider("ireland", { region: "eu-west-1" });
const archive = new EmbeddingService(
  "archive",
  {
    endpoint: { kind: "domain", domain: config.require("domain"), instancesMin: 1, instancesMax: 3 },
    clients: ["indexer"],
    allowedCidrs,
    awsEndpointUrl,
  },
  { provider: ireland },
);
new Verification("archive", { service: archive, awsEndpointUrl });

export const endpoints = { website: website.endpoint, archive: archive.endpoint };
export const regions = { website: website.region, archive: archive.region };
export const secretArns = { website: website.secretArns, archive: archive.secretArns };
