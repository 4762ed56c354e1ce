import * as pulumi from "@pulumi/pulumi";
import { Artifacts } from "./components/bundle/artifacts";
import { renderBundle } from "./components/bundle/bundle";
import { MODEL } from "./components/bundle/instanceConfig";
import { requireMirrored, requireReadable } from "./components/bundle/sources";
import { EmbeddingFleet } from "./components/compute/fleet";
import { EmbeddingInstance } from "./components/compute/instance";
import { GPU_INSTANCE_TYPES } from "./components/compute/instanceTypes";
import { insufficientCapacityHook } from "./components/compute/purchaseOption";
import { Endpoint } from "./components/endpoint/addressEndpoint";
import { DomainEndpoint } from "./components/endpoint/domainEndpoint";
import { ApiKey } from "./components/keys/apiKey";
import { findHostedZone } from "./components/network/hostedZone";
import { Network, networkRanges } from "./components/network/network";
import { place } from "./components/network/placement";
import { VpcEndpoints } from "./components/network/vpcEndpoints";
import { Budget } from "./components/operations/budget";
import { Schedule } from "./components/operations/schedule";
import { Verification } from "./components/operations/verification";
import { loadSettings, resourceName } from "./components/settings/settings";

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
        publishesUtilization: settings.instances.max > settings.instances.min,
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
          new VpcEndpoints(name, {
            region: settings.region,
            vpcId: network.vpcId,
            subnetIds: network.subnetIds,
            routeTableIds: placement.existing.routeTableIds,
            machineSecurityGroupId: network.securityGroupId,
            publishesUtilization: fleet?.publishesUtilization ?? false,
          }),
        ]
      : [];

  const onError = [
    insufficientCapacityHook(name, {
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
      : new EmbeddingInstance(name, {
          ...common,
          subnetId: network.subnetIds[0]!,
          allocationId: endpoint.allocationId,
          machine,
        });

  if (settings.schedule && machines instanceof EmbeddingInstance) {
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
