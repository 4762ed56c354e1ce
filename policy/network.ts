import * as pulumi from "@pulumi/pulumi";
import { list, part, resourcePolicy } from "./resources";

const RULE = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule";
const GROUP_RULE = "aws:ec2/securityGroupRule:SecurityGroupRule";
const GROUPS = ["aws:ec2/securityGroup:SecurityGroup", "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup"];
const LISTENERS = ["aws:lb/listener:Listener", "aws:alb/listener:Listener"];
const TARGET_GROUPS = ["aws:lb/targetGroup:TargetGroup", "aws:alb/targetGroup:TargetGroup"];

/** An inbound rule, from any of the provider's resources that define one. */
interface Opening {
  protocol: string;
  from: number;
  to: number;
  /** IP address ranges; none if the source is another security group. */
  ranges: string[];
}

const NO_SSH = resourcePolicy(
  "no-ssh",
  "No security group allows port 22. Session Manager needs no open port.",
  [RULE, GROUP_RULE, ...GROUPS],
  (props, { type }) =>
    openings(type, props)
      .filter((opening) => includesPort(opening, 22))
      .map(() => "port 22 is open; use Session Manager (`aws ssm start-session`)"),
);

const HTTPS_ONLY = resourcePolicy(
  "https-only",
  "IP address ranges can reach port 443, and port 80 for a redirect, and no other port.",
  [RULE, GROUP_RULE, ...GROUPS],
  (props, { type }) =>
    openings(type, props)
      .filter(({ protocol, from, to, ranges }) => {
        const known = protocol === "tcp" && from === to && (from === 443 || from === 80);
        return ranges.length > 0 && !known;
      })
      .map(({ protocol, from, to, ranges }) => `${ranges.join(", ")} can reach ${protocol} ${from} to ${to}`),
);

const OPEN_ON_PURPOSE = resourcePolicy(
  "open-to-everyone-on-purpose",
  "0.0.0.0/0 and ::/0 are allowed only if the setting allowPublicAccess is true.",
  [RULE, GROUP_RULE, ...GROUPS],
  (props, { type }) => {
    // The configuration of the project that the engine runs this pack for.
    const meant = new pulumi.Config().getBoolean("allowPublicAccess") === true;
    const everyone = openings(type, props).filter(({ ranges }) => ranges.some((range) => /\/0$/.test(range)));
    return meant
      ? []
      : everyone.map(() => "the whole internet is allowed, but allowPublicAccess is not true");
  },
);

const TLS = resourcePolicy(
  "tls",
  "A load balancer accepts HTTPS with TLS 1.2 or later, or redirects to it, and uses HTTPS to its targets.",
  [...LISTENERS, ...TARGET_GROUPS],
  (props, { type }) => {
    if (TARGET_GROUPS.includes(type)) {
      return props.protocol === "HTTPS"
        ? []
        : [`the target group uses ${String(props.protocol)} instead of HTTPS`];
    }
    if (props.protocol === "HTTPS") {
      const policy = String(props.sslPolicy);
      return /^ELBSecurityPolicy-(TLS13-1-[23]|TLS-1-2|FS-1-2)/.test(policy)
        ? []
        : [`sslPolicy is ${policy}, which allows TLS versions before 1.2`];
    }
    const redirects = list(props.defaultActions).every(
      (action) => action.type === "redirect" && part(action, "redirect", "protocol") === "HTTPS",
    );
    return redirects ? [] : [`a listener accepts ${String(props.protocol)} and does not redirect to HTTPS`];
  },
);

export const networkPolicies = [NO_SSH, HTTPS_ONLY, OPEN_ON_PURPOSE, TLS];

function openings(type: string, props: Record<string, unknown>): Opening[] {
  if (type === RULE) {
    return [opening(props.ipProtocol, props.fromPort, props.toPort, [props.cidrIpv4, props.cidrIpv6])];
  }
  if (type === GROUP_RULE) {
    return props.type === "ingress"
      ? [opening(props.protocol, props.fromPort, props.toPort, [...ranges(props)])]
      : [];
  }
  return list(props.ingress).map((rule) => opening(rule.protocol, rule.fromPort, rule.toPort, ranges(rule)));
}

function ranges(rule: Record<string, unknown>): unknown[] {
  return [...((rule.cidrBlocks ?? []) as unknown[]), ...((rule.ipv6CidrBlocks ?? []) as unknown[])];
}

function opening(protocol: unknown, from: unknown, to: unknown, from_: unknown[]): Opening {
  const all = protocol === "-1" || protocol === -1 || protocol === "all";
  return {
    protocol: all ? "all" : String(protocol),
    from: all ? 0 : Number(from),
    to: all ? 65535 : Number(to),
    ranges: from_.filter((range): range is string => typeof range === "string"),
  };
}

function includesPort({ protocol, from, to, ranges }: Opening, port: number): boolean {
  return (
    ["all", "tcp", "6"].includes(protocol) &&
    from <= port &&
    port <= to &&
    !(protocol === "all" && ranges.length === 0)
  );
}
