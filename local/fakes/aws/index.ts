import { SSM } from "@aws-sdk/client-ssm";
import { InputError, type Props, type ProviderDefinition } from "../framework";
import { configureRegion, currentRegion, lazily } from "./account";
import { ec2, getAvailabilityZones, getInstanceTypeOfferings } from "./ec2";
import { fleet, getZone } from "./fleet";
import { iamResources } from "./iam";
import { lambdaResources } from "./lambda";
import { getRouteTables, getSubnet, getVpc, networkResources } from "./network";
import { recordedResources } from "./recorded";
import { getObject, s3Resources } from "./s3";
import { getSecretVersion, secretsmanagerResources } from "./secretsmanager";

/** Fake of the AWS provider, with only what this stack uses. docs/guides/local.md lists what is real. */
export const aws: ProviderDefinition = {
  name: "aws",
  version: "7.48.0",
  configInputs: ["region", "skipCredentialsValidation", "skipRegionValidation"],
  configure: ({ region }) => {
    if (!/^[a-z]{2}(-[a-z]+)+-\d$/.test(String(region))) {
      throw new InputError("region", `is ${String(region)}; set aws:region`);
    }
    configureRegion(String(region));
  },
  resources: {
    ...networkResources,
    ...ec2,
    ...fleet,
    ...iamResources,
    ...secretsmanagerResources,
    ...s3Resources,
    ...lambdaResources,
    ...recordedResources,
  },
  invokes: {
    "aws:index/getRegion:getRegion": async () => ({ id: currentRegion(), region: currentRegion() }),
    "aws:index/getAvailabilityZones:getAvailabilityZones": getAvailabilityZones,
    "aws:ec2/getInstanceTypeOfferings:getInstanceTypeOfferings": getInstanceTypeOfferings,
    "aws:ec2/getSubnet:getSubnet": getSubnet,
    "aws:ec2/getVpc:getVpc": getVpc,
    "aws:ec2/getRouteTables:getRouteTables": getRouteTables,
    "aws:ssm/getParameter:getParameter": getParameter,
    "aws:s3/getObject:getObject": getObject,
    "aws:route53/getZone:getZone": getZone,
    "aws:secretsmanager/getSecretVersion:getSecretVersion": getSecretVersion,
  },
};

const ssm = lazily(SSM);

async function getParameter(args: Props): Promise<Props> {
  const { Parameter } = await ssm().getParameter({ Name: String(args.name) });
  const { Value, Type, ARN } = Parameter ?? {};
  return { ...args, id: args.name, value: Value, insecureValue: Value, type: Type, arn: ARN };
}
