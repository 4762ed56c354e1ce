import type { SettingsArgs } from "./settings/args";
import { SETTINGS, type SettingName, type Settings } from "./settings/table";

type AddressSettings = "certificateAuthority" | "stopSchedule" | "startSchedule" | "scheduleTimezone";
type DomainSettings = "domain" | "hostedZoneId" | "internal" | "instancesMin" | "instancesMax";

/** One instance with an Elastic IP address, and a certificate from a private authority that clients must trust. */
export interface AddressEndpointSettings extends Pick<SettingsArgs, AddressSettings> {
  kind: "address";
}

/** One or more instances behind a load balancer, with a DNS name and a public certificate. */
export interface DomainEndpointSettings
  extends Required<Pick<SettingsArgs, "domain">>,
    Omit<Pick<SettingsArgs, DomainSettings>, "domain"> {
  kind: "domain";
}

/**
 * Arguments of `EmbeddingService`. Everything but the ranges that can reach it has a default; docs/reference/settings.md
 * lists them all. Each is a plain value, because look-ups and the names of resources depend on them.
 *
 * @example
 * new EmbeddingService("search", {
 *   endpoint: { kind: "domain", domain: "embeddings.example.com", instancesMin: 2, instancesMax: 4 },
 *   instanceType: "g6e.xlarge",
 *   clients: ["indexer", "website"],
 *   allowedCidrs: ["203.0.113.0/24"],
 * });
 */
export interface EmbeddingServiceArgs extends Omit<SettingsArgs, AddressSettings | DomainSettings> {
  /** How clients reach the service: an address (one instance), or a domain (a fleet of one or more). */
  endpoint: AddressEndpointSettings | DomainEndpointSettings;
}

/** The arguments as flat settings. */
export function flatten({ endpoint, ...rest }: EmbeddingServiceArgs): SettingsArgs {
  const { kind: _, ...settings } = endpoint;
  return { ...rest, ...settings };
}

/** The arguments that checked settings describe: with a domain, a fleet. Settings of the stack alone are omitted. */
export function serviceArgs(settings: Settings): EmbeddingServiceArgs {
  const { certificateAuthority, stopSchedule, startSchedule, scheduleTimezone, ...others } =
    ofService(settings);
  const { domain, hostedZoneId, internal, instancesMin, instancesMax, ...rest } = others;
  return {
    ...rest,
    endpoint: domain
      ? { kind: "domain", domain, hostedZoneId, internal, instancesMin, instancesMax }
      : { kind: "address", certificateAuthority, stopSchedule, startSchedule, scheduleTimezone },
  };
}

function ofService(settings: Settings): SettingsArgs {
  const own = Object.entries(settings).filter(([name]) => SETTINGS[name as SettingName]?.service);
  return Object.fromEntries(own) as unknown as SettingsArgs;
}
