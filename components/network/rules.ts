import { rule, show } from "../settings/rule";

export const networkRules = [
  rule(["vpcId", "subnetIds", "domain"], ({ vpcId, subnetIds, domain }) => {
    if (vpcId === undefined) {
      return subnetIds.length > 0
        ? [`subnetIds is ${show(subnetIds)}; allowed: an empty list without vpcId`]
        : [];
    }
    const [least, words] =
      domain === undefined
        ? [1, "one subnet or more"]
        : [2, "two subnets or more in different zones, for the load balancer"];
    return subnetIds.length < least ? [`subnetIds is ${show(subnetIds)}; allowed: with vpcId, ${words}`] : [];
  }),
  rule(["internal", "vpcId"], ({ internal, vpcId }) =>
    internal && vpcId === undefined
      ? ["internal is true; allowed: false without vpcId, because no client could reach the stack's own VPC"]
      : [],
  ),
  rule(["createVpcEndpoints", "vpcId"], ({ createVpcEndpoints, vpcId }) =>
    createVpcEndpoints && vpcId === undefined
      ? ["createVpcEndpoints is true; allowed: false without vpcId; the stack's own VPC has internet access"]
      : [],
  ),
];
