import * as ec2 from "@pulumi/aws/ec2";
import * as vpc from "@pulumi/aws/vpc";
import * as pulumi from "@pulumi/pulumi";

export interface VpcEndpointsArgs {
  region: string;
  vpcId: pulumi.Input<string>;
  /** One a zone. */
  subnetIds: pulumi.Input<string>[];
  /** Of the subnets that machines are in: S3 is reached by a route. */
  routeTableIds: string[];
  /** The machines' security group, the only one that is let in. */
  machineSecurityGroupId: pulumi.Input<string>;
  /** Whether machines publish metrics. */
  publishesUtilization: boolean;
}

/** The ways to AWS's services for machines in a VPC without internet: those that they use and no others. */
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
          // The services' own names lead here, so nothing on the machine has to know.
          privateDnsEnabled: true,
          tags: { Name: `${name}-${service}` },
        },
        { parent: this },
      );
    }
    new ec2.VpcEndpoint(
      `${name}-s3`,
      {
        vpcId: args.vpcId,
        // The kind that costs nothing.
        vpcEndpointType: "Gateway",
        serviceName: `com.amazonaws.${args.region}.s3`,
        routeTableIds: args.routeTableIds,
        tags: { Name: `${name}-s3` },
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
        description: "HTTPS to AWS's services for the machines of the embedding endpoint",
        tags: { Name: `${name}-endpoints` },
      },
      { parent: this },
    );
    new vpc.SecurityGroupIngressRule(
      `${name}-endpoints-machines`,
      {
        securityGroupId: group.id,
        referencedSecurityGroupId: args.machineSecurityGroupId,
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
    // A machine of a fleet says that it is ready.
    "autoscaling",
    // Session Manager, and the search for keys that verification has machines make.
    "ssm",
    "ssmmessages",
    "ec2messages",
    ...(publishesUtilization ? ["monitoring"] : []),
  ];
}
