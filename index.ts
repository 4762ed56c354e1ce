import * as pulumi from "@pulumi/pulumi";
import { ApiKey } from "./components/apiKey";
import { Artifacts } from "./components/artifacts";
import { EmbeddingServer } from "./components/embeddingServer";
import { Endpoint } from "./components/endpoint";
import { renderBundle } from "./components/machine/bundle";
import { MODEL } from "./components/machine/config";
import { requireReadable } from "./components/modelSource";
import { Network } from "./components/network";
import { loadSettings, resourceName } from "./components/settings";
import { Verification } from "./components/verification";
import { zonesOffering } from "./components/zones";

/** The stack: configuration to components to outputs. */
export = async () => {
  const settings = loadSettings();
  await requireReadable(settings.modelSource);
  const zones = await zonesOffering(settings.instanceType, settings.region, settings.availabilityZone);
  const bundle = await renderBundle(settings);
  const name = resourceName(pulumi.getStack());

  const keys = settings.clients.map((client) => ({
    client,
    key: new ApiKey(`${name}-${client}`, {
      client,
      recoveryDays: settings.secretRecoveryDays,
      protect: settings.protect,
    }),
  }));
  const byClient = <T>(value: (key: ApiKey) => T) =>
    Object.fromEntries(keys.map(({ client, key }) => [client, value(key)]));
  const first = keys[0]!.key;

  const network = new Network(name, { zones, allowedCidrs: settings.allowedCidrs });
  const endpoint = new Endpoint(name, {
    recoveryDays: settings.secretRecoveryDays,
    protect: settings.protect,
  });
  const artifacts = new Artifacts(name, {
    bundle,
    clients: byClient((key) => key.secretArn),
    certificateSecretArn: endpoint.certificate.secretArn,
    keyGraceSeconds: settings.keyGraceSeconds,
  });
  const server = new EmbeddingServer(name, {
    instanceType: settings.instanceType,
    subnetId: network.subnetIds[0]!,
    securityGroupId: network.securityGroupId,
    allocationId: endpoint.allocationId,
    secretArns: [...keys.map(({ key }) => key.secretArn), endpoint.certificate.secretArn],
    bucketArn: artifacts.bucketArn,
    machine: {
      ...settings,
      bucket: artifacts.bucket,
      bundleKey: artifacts.bundleKey,
      bundleSha256: bundle.sha256,
      indexKey: artifacts.indexKey,
    },
    rootVolumeGib: settings.rootVolumeGib,
    after: [network, artifacts],
  });
  new Verification(
    name,
    {
      endpoint: endpoint.url,
      caCertificate: endpoint.certificate.caCertificate,
      secretArn: first.secretArn,
      region: settings.region,
      model: MODEL.servedName,
      dimensions: MODEL.dimensions,
      instanceId: server.instanceId,
      publishedWeights: settings.publishedWeights,
      timeoutSeconds: settings.verificationTimeoutSeconds,
      awsEndpointUrl: settings.awsEndpointUrl,
      profile: settings.awsProfile,
      revisions: [...keys.map(({ key }) => key.versionId), endpoint.certificate.versionId],
    },
    { dependsOn: [server, artifacts, network] },
  );

  return {
    endpoint: endpoint.url,
    caCertificate: endpoint.certificate.caCertificate,
    model: MODEL.servedName,
    dimensions: MODEL.dimensions,
    region: settings.region,
    instanceId: server.instanceId,
    secretArns: byClient((key) => key.secretArn),
    apiKeyUrns: byClient((key) => key.urnToReplace),
    secretArn: first.secretArn,
    apiKeyUrn: first.urnToReplace,
  };
};
