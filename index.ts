import * as pulumi from "@pulumi/pulumi";
import { ApiKey } from "./components/apiKey";
import { Artifacts } from "./components/artifacts";
import { AwsEndpoints } from "./components/awsEndpoints";
import { Budget } from "./components/budget";
import { capacityHook } from "./components/capacity";
import { DomainEndpoint } from "./components/domainEndpoint";
import { EmbeddingFleet } from "./components/embeddingFleet";
import { EmbeddingServer } from "./components/embeddingServer";
import { Endpoint } from "./components/endpoint";
import { findHostedZone } from "./components/hostedZone";
import { GPU_INSTANCE_TYPES } from "./components/instanceTypes";
import { renderBundle } from "./components/machine/bundle";
import { MODEL } from "./components/machine/config";
import { requireMirrored, requireReadable } from "./components/modelSource";
import { Network, networkRanges } from "./components/network";
import { place } from "./components/placement";
import { Schedule } from "./components/schedule";
import { loadSettings, resourceName } from "./components/settings";
import { Verification } from "./components/verification";

/** The stack: configuration to components to outputs. One machine with an address, or with a domain a fleet. */
export = async () => {
  const settings = loadSettings();
  const { domain, protect, secretRecoveryDays: recoveryDays } = settings;
  await requireReadable(settings.modelSource);
  await requireMirrored(settings.packageMirror);
  const placement = await place(settings);
  const hostedZoneId = domain && (settings.hostedZoneId ?? (await findHostedZone(domain)));
  const name = resourceName(pulumi.getStack());
  const fleet = domain
    ? {
        autoScalingGroup: name,
        publishesLoad: settings.instances.max > settings.instances.min,
        trustedProxies: networkRanges(placement.existing),
      }
    : undefined;
  const bundle = await renderBundle({ ...settings, fleet });

  const keys = settings.clients.map((client) => ({
    client,
    key: new ApiKey(`${name}-${client}`, { client, recoveryDays, protect }),
  }));
  const byClient = <T>(value: (key: ApiKey) => T) =>
    Object.fromEntries(keys.map(({ client, key }) => [client, value(key)]));
  const first = keys[0]!.key;

  const network = new Network(name, {
    zones: placement.zones,
    allowedCidrs: domain ? [] : settings.allowedCidrs,
    existing: placement.existing,
  });
  const endpoint = domain
    ? new DomainEndpoint(name, {
        domain,
        hostedZoneId: hostedZoneId!,
        vpcId: network.vpcId,
        subnetIds: network.subnetIds,
        allowedCidrs: settings.allowedCidrs,
        machineSecurityGroupId: network.securityGroupId,
        internal: settings.internal,
        recoveryDays,
        protect,
      })
    : new Endpoint(name, { recoveryDays, protect });
  const artifacts = new Artifacts(name, {
    bundle,
    clients: byClient((key) => key.secretArn),
    certificateSecretArn: endpoint.certificate.secretArn,
    keyGraceSeconds: settings.keyGraceSeconds,
  });

  const ways =
    placement.existing && settings.createVpcEndpoints
      ? [
          new AwsEndpoints(name, {
            region: settings.region,
            vpcId: network.vpcId,
            subnetIds: network.subnetIds,
            routeTableIds: placement.existing.routeTableIds,
            machineSecurityGroupId: network.securityGroupId,
            publishesLoad: fleet?.publishesLoad ?? false,
          }),
        ]
      : [];

  const onError = [
    capacityHook(name, {
      capacity: settings.capacity,
      instanceType: settings.instanceType,
      zones: placement.machineZones,
      offered: placement.offered,
      vcpus: GPU_INSTANCE_TYPES[settings.instanceType]?.vcpus,
    }),
  ];
  const common = {
    instanceType: settings.instanceType,
    capacity: settings.capacity,
    onError,
    securityGroupId: network.securityGroupId,
    secretArns: [...keys.map(({ key }) => key.secretArn), endpoint.certificate.secretArn],
    bucketArn: artifacts.bucketArn,
    rootVolumeGib: settings.rootVolumeGib,
    imageId: settings.imageId,
    after: [network, artifacts, ...ways],
  };
  const machine = {
    ...settings,
    bucket: artifacts.bucket,
    bundleKey: artifacts.bundleKey,
    bundleSha256: bundle.sha256,
    indexKey: artifacts.indexKey,
  };
  const machines =
    endpoint instanceof DomainEndpoint
      ? new EmbeddingFleet(name, {
          ...common,
          instances: settings.instances,
          subnetIds: placement.machineZones.map((zone) => network.subnetIds[placement.zones.indexOf(zone)]!),
          publicAddresses: !settings.internal,
          targetGroupArn: endpoint.targetGroupArn,
          machine: { ...machine, fleet: fleet! },
          readyWithinSeconds: settings.verificationTimeoutSeconds,
        })
      : new EmbeddingServer(name, {
          ...common,
          subnetId: network.subnetIds[0]!,
          allocationId: endpoint.allocationId,
          machine,
        });

  if (settings.schedule && machines instanceof EmbeddingServer) {
    const { instanceId } = machines;
    new Schedule(name, { ...settings.schedule, instanceId, siblingArn: first.secretArn });
  }
  if (settings.budget) {
    new Budget(name, settings.budget);
  }

  new Verification(
    name,
    {
      endpoint: endpoint.url,
      caCertificate: endpoint.caCertificate,
      secretArn: first.secretArn,
      region: settings.region,
      model: MODEL.servedName,
      dimensions: MODEL.dimensions,
      machines,
      publishedWeights: settings.publishedWeights,
      timeoutSeconds: settings.verificationTimeoutSeconds,
      awsEndpointUrl: settings.awsEndpointUrl,
      profile: settings.awsProfile,
      revisions: [...keys.map(({ key }) => key.versionId), endpoint.certificate.versionId],
    },
    { dependsOn: [machines, artifacts, network] },
  );

  return {
    endpoint: endpoint.url,
    caCertificate: endpoint.caCertificate,
    model: MODEL.servedName,
    dimensions: MODEL.dimensions,
    region: settings.region,
    ...(machines instanceof EmbeddingFleet
      ? { autoScalingGroup: machines.autoScalingGroup }
      : { instanceId: machines.instanceId }),
    secretArns: byClient((key) => key.secretArn),
    apiKeyUrns: byClient((key) => key.urnToReplace),
    secretArn: first.secretArn,
    apiKeyUrn: first.urnToReplace,
  };
};
