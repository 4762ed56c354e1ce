import * as ec2 from "@pulumi/aws/ec2";
import * as vpc from "@pulumi/aws/vpc";
import * as pulumi from "@pulumi/pulumi";
import { stackTags } from "../tags";

export interface VpcEndpointsArgs {
  region: string;
  vpcId: pulumi.Input<string>;
  /** One in each zone. */
  subnetIds: pulumi.Input<string>[];
  /** Of the subnets of the instances: the S3 endpoint is a route. */
  routeTableIds: string[];
  /** Security group of the instances, the only one that is allowed in. */
  instanceSecurityGroupId: pulumi.Input<string>;
  /** Whether instances publish metrics. */
  publishesUtilization: boolean;
}

/** VPC endpoints of the AWS services that instances without internet access use, and no others. */
export class VpcEndpoints extends pulumi.ComponentResource {
  constructor(name: string, args: VpcEndpointsArgs, opts?: pulumi.ComponentResourceOptions) {
    super("qwen3-embedding-stack:index:VpcEndpoints", name, {}, opts);
    const group = this.createSecurityGroup(name, args);
    for (const service of interfaceServices(args)) {
      new ec2.VpcEndpoint(
        `${name}-${service}`,
        {
          vpcId: args.vpcId,
          vpcEndpointType: "Interface",
          serviceName: `com.amazonaws.${args.region}.${service}`,
          subnetIds: args.subnetIds,
          securityGroupIds: [group.id],
          // The public names of the services resolve to the endpoint, so instances need no configuration.
          privateDnsEnabled: true,
          tags: stackTags(name, `${name}-${service}`),
        },
        { parent: this },
      );
    }
    new ec2.VpcEndpoint(
      `${name}-s3`,
      {
        vpcId: args.vpcId,
        // Gateway endpoints are free.
        vpcEndpointType: "Gateway",
        serviceName: `com.amazonaws.${args.region}.s3`,
        routeTableIds: args.routeTableIds,
        tags: stackTags(name, `${name}-s3`),
      },
      { parent: this },
    );
    this.registerOutputs({});
  }

  private createSecurityGroup(name: string, args: VpcEndpointsArgs): ec2.SecurityGroup {
    const group = new ec2.SecurityGroup(
      `${name}-endpoints`,
      {
        vpcId: args.vpcId,
        description: "HTTPS from the embedding instances to AWS services",
        tags: stackTags(name, `${name}-endpoints`),
      },
      { parent: this },
    );
    new vpc.SecurityGroupIngressRule(
      `${name}-endpoints-instances`,
      {
        securityGroupId: group.id,
        referencedSecurityGroupId: args.instanceSecurityGroupId,
        ipProtocol: "tcp",
        fromPort: 443,
        toPort: 443,
      },
      { parent: this },
    );
    return group;
  }
}

function interfaceServices({ publishesUtilization }: VpcEndpointsArgs): string[] {
  return [
    // Keys and certificate.
    "secretsmanager",
    // An instance of a fleet completes its lifecycle action.
    "autoscaling",
    // Session Manager, and Run Command for verification.
    "ssm",
    "ssmmessages",
    "ec2messages",
    ...(publishesUtilization ? ["monitoring"] : []),
  ];
}
