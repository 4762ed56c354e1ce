import { EmbeddingFleet } from "../compute/fleet";
import { DomainEndpoint } from "../endpoint/domainEndpoint";
import { Network, networkRanges } from "../network/network";
import type { Service, ServiceContext } from "./context";
import { deployerAccess, prepareLaunch } from "./prepareLaunch";

/** One or more instances behind a load balancer with a DNS name. */
export async function createWithDomain(context: ServiceContext, domain: string): Promise<Service> {
  const { name, settings, placement, hostedZoneId, parent } = context;
  const network = new Network(name, { ...placement, allowedCidrs: [] }, { parent });
  const endpoint = new DomainEndpoint(
    name,
    {
      domain,
      hostedZoneId: hostedZoneId!,
      vpcId: network.vpcId,
      subnetIds: network.subnetIds,
      allowedCidrs: settings.allowedCidrs,
      instanceSecurityGroupId: network.securityGroupId,
      internal: settings.internal,
      recoveryDays: settings.secretRecoveryDays,
      protect: settings.protect,
    },
    { parent },
  );
  const fleet = {
    publishesUtilization: settings.instancesMax > settings.instancesMin,
    trustedProxies: networkRanges(placement.existing),
  };
  const launch = await prepareLaunch(context, network, endpoint.certificate, fleet);
  const { autoScalingGroup, templateVersion } = new EmbeddingFleet(
    name,
    {
      ...launch,
      config: { ...launch.config, fleet },
      instancesMin: settings.instancesMin,
      instancesMax: settings.instancesMax,
      subnetIds: network.subnetsIn(placement.instanceZones),
      publicAddresses: !settings.internal,
      targetGroupArn: endpoint.targetGroupArn,
      balancerDimensions: endpoint.dimensions,
      readyWithinSeconds: settings.verificationTimeoutSeconds,
      access: deployerAccess(context),
    },
    { parent },
  );
  const { url, caCertificate, certificate } = endpoint;
  return { url, caCertificate, certificate, autoScalingGroup, launchTemplateVersion: templateVersion };
}
