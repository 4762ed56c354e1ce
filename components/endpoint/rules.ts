import { prefixLength } from "../settings/formats";
import { rule, show } from "../settings/rule";

export const endpointRules = [
  rule(["instancesMin", "instancesMax"], ({ instancesMin, instancesMax }) =>
    instancesMin > instancesMax
      ? [`instancesMin is ${instancesMin}; allowed: up to instancesMax, which is ${instancesMax}`]
      : [],
  ),
  rule(["instancesMax", "domain"], ({ instancesMax, domain }) =>
    instancesMax > 1 && domain === undefined
      ? [
          `instancesMax is ${instancesMax}; allowed: 1 without a domain, because several instances need a load balancer and its certificate`,
        ]
      : [],
  ),
  rule(["hostedZoneId", "domain"], ({ hostedZoneId, domain }) =>
    hostedZoneId !== undefined && domain === undefined
      ? [`hostedZoneId is ${show(hostedZoneId)}; allowed: not set without a domain`]
      : [],
  ),
  rule(["certificateAuthority", "domain"], ({ certificateAuthority, domain }) =>
    certificateAuthority !== "first" && domain !== undefined
      ? [
          `certificateAuthority is ${show(certificateAuthority)}; allowed: "first" with a domain, whose certificate is public`,
        ]
      : [],
  ),
  rule(["internal", "domain"], ({ internal, domain }) =>
    internal && domain === undefined
      ? ["internal is true; allowed: false without a domain, because an internal endpoint is a load balancer"]
      : [],
  ),
  rule(["allowedCidrs", "allowPublicAccess"], ({ allowedCidrs, allowPublicAccess }) =>
    !allowPublicAccess && allowedCidrs.some((range) => prefixLength(range) < 8)
      ? [
          `allowedCidrs is ${show(allowedCidrs)}; allowed: ranges of /8 or smaller, or with allowPublicAccess: true wider ones such as 0.0.0.0/0`,
        ]
      : [],
  ),
];
