import { GetParameterCommand, SSMClient } from "@aws-sdk/client-ssm";
import { InputError, type Props, type ProviderDefinition } from "../framework";
import { configureRegion, connection, currentRegion } from "./account";
import { budgets } from "./budgets";
import { ec2, getAvailabilityZones, getInstanceTypeOfferings } from "./ec2";
import { fleet, getZone } from "./fleet";
import { iam } from "./iam";
import { lambda } from "./lambda";
import { getRouteTables, getSubnet, getVpc, network } from "./network";
import { getObject, s3 } from "./s3";
import { scheduler } from "./scheduler";
import { getSecretVersion, secretsmanager } from "./secretsmanager";

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
    ...network,
    ...ec2,
    ...fleet,
    ...iam,
    ...secretsmanager,
    ...s3,
    ...lambda,
    ...scheduler,
    ...budgets,
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

async function getParameter(args: Props): Promise<Props> {
  const { Parameter } = await new SSMClient(connection()).send(
    new GetParameterCommand({ Name: args.name as string }),
  );
  return {
    ...args,
    id: args.name,
    value: Parameter?.Value,
    insecureValue: Parameter?.Value,
    type: Parameter?.Type,
    arn: Parameter?.ARN,
  };
}
