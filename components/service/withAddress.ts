import { EmbeddingInstance } from "../compute/instance";
import { AddressEndpoint } from "../endpoint/addressEndpoint";
import { Network } from "../network/network";
import { Schedule } from "../operations/schedule";
import type { Service, ServiceContext } from "./context";
import { deployerAccess, prepareLaunch } from "./prepareLaunch";

/** One instance with an Elastic IP address. */
export async function createWithAddress(context: ServiceContext): Promise<Service> {
  const { name, settings, placement, keys, parent } = context;
  const {
    allowedCidrs,
    secretRecoveryDays: recoveryDays,
    certificateAuthority: signedBy,
    protect,
  } = settings;
  const network = new Network(name, { ...placement, allowedCidrs }, { parent });
  const endpoint = new AddressEndpoint(name, { recoveryDays, signedBy, protect }, { parent });
  const launch = await prepareLaunch(context, network, endpoint.certificate);
  const [subnetId] = network.subnetsIn(placement.instanceZones);
  const { instanceId } = new EmbeddingInstance(
    name,
    {
      ...settings,
      ...launch,
      access: deployerAccess(context),
      subnetId: subnetId!,
      allocationId: endpoint.allocationId,
    },
    { parent },
  );
  if (settings.stopSchedule !== undefined) {
    const siblingArn = Object.values(keys)[0]!.secretArn;
    const { stopSchedule: stop, startSchedule: start, scheduleTimezone: timezone } = settings;
    const { permissionsBoundary } = settings;
    new Schedule(name, { instanceId, siblingArn, stop, start, timezone, permissionsBoundary }, { parent });
  }
  const { url, caCertificate, certificate } = endpoint;
  return { url, caCertificate, certificate, instanceId };
}
