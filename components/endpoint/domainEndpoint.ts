import * as acm from "@pulumi/aws/acm";
import * as ec2 from "@pulumi/aws/ec2";
import * as lb from "@pulumi/aws/lb";
import * as route53 from "@pulumi/aws/route53";
import * as vpc from "@pulumi/aws/vpc";
import * as pulumi from "@pulumi/pulumi";
import { LOAD_BALANCER_IDLE_SECONDS, LONGEST_ANSWER_SECONDS } from "../bundle/instanceConfig";
import { Certificate } from "../keys/certificate";
import { stackTags } from "../tags";

/** TLS 1.2 and 1.3 with forward secrecy and authenticated encryption alone. */
const TLS_POLICY = "ELBSecurityPolicy-TLS13-1-2-Res-2021-06";

/** AWS allows six characters for the name prefix of a load balancer and a target group. */
const NAME_PREFIX = "qwen3-";

export interface DomainEndpointArgs {
  /** DNS name that clients connect to. */
  domain: string;
  /** Public Route 53 hosted zone of the name. */
  hostedZoneId: string;
  vpcId: pulumi.Input<string>;
  /** Two subnets or more in different zones. */
  subnetIds: pulumi.Input<string>[];
  /** IPv4 ranges that can reach port 443. */
  allowedCidrs: string[];
  /** Security group of the instances, which gets a rule for the load balancer. */
  instanceSecurityGroupId: pulumi.Input<string>;
  /** Only reachable from the VPC and the networks connected to it. */
  internal?: boolean;
  /** Days for which Secrets Manager can restore the deleted certificate; 0 deletes it immediately. */
  recoveryDays: number;
  /** Protect the load balancer. */
  protect?: boolean;
}

/**
 * The endpoint of a fleet: an Application Load Balancer with an ACM certificate, validated through Route 53.
 *
 * It uses HTTPS to the instances too, which have a certificate of the private authority. A load balancer does not verify
 * that certificate: the connection is encrypted, and the security groups ensure that the target is an instance of this
 * service.
 */
export class DomainEndpoint extends pulumi.ComponentResource {
  /** Base URL for OpenAI clients, `https://DOMAIN/v1`. */
  readonly url: pulumi.Output<string>;
  /** Empty: the certificate is from a public authority. */
  readonly caCertificate: pulumi.Output<string>;
  /** Certificate of the instances. */
  readonly certificate: Certificate;
  readonly targetGroupArn: pulumi.Output<string>;
  /** Dimensions of the metrics of load balancer and target group. */
  readonly dimensions: { LoadBalancer: pulumi.Output<string>; TargetGroup: pulumi.Output<string> };

  constructor(name: string, args: DomainEndpointArgs, opts?: pulumi.ComponentResourceOptions) {
    super("qwen3-embedding-stack:index:DomainEndpoint", name, {}, opts);
    this.certificate = new Certificate(
      name,
      { subject: { dnsName: args.domain }, recoveryDays: args.recoveryDays },
      { parent: this },
    );
    const publicCertificate = this.createPublicCertificate(name, args);
    const group = this.createSecurityGroup(name, args);
    const balancer = this.createLoadBalancer(name, args, group);
    const targets = this.createTargetGroup(name, args);
    const listener = this.createListener(name, balancer, targets, publicCertificate);
    const record = this.createRecord(name, args, balancer);
    // Instances are registered, and clients sent, only once the listener exists.
    this.targetGroupArn = pulumi.all([targets.arn, listener.arn]).apply(([arn]) => arn);
    this.dimensions = { LoadBalancer: balancer.arnSuffix, TargetGroup: targets.arnSuffix };
    this.url = record.name.apply((domain) => `https://${domain}/v1`);
    this.caCertificate = pulumi.output("");
    this.registerOutputs({ url: this.url, targetGroupArn: this.targetGroupArn });
  }

  /** @returns the ARN of the certificate once ACM has issued it */
  private createPublicCertificate(name: string, args: DomainEndpointArgs): pulumi.Output<string> {
    const certificate = new acm.Certificate(
      name,
      { domainName: args.domain, validationMethod: "DNS", tags: stackTags(name) },
      { parent: this },
    );
    const proof = certificate.domainValidationOptions[0]!;
    const record = new route53.Record(
      `${name}-validation`,
      {
        zoneId: args.hostedZoneId,
        name: proof.resourceRecordName,
        type: proof.resourceRecordType,
        records: [proof.resourceRecordValue],
        ttl: 300,
        // The validation record of a name is the same for every certificate of the account: another stack may have created it.
        allowOverwrite: true,
      },
      { parent: this },
    );
    return new acm.CertificateValidation(
      name,
      { certificateArn: certificate.arn, validationRecordFqdns: [record.fqdn] },
      { parent: this },
    ).certificateArn;
  }

  private createSecurityGroup(name: string, args: DomainEndpointArgs): ec2.SecurityGroup {
    const group = new ec2.SecurityGroup(
      `${name}-balancer`,
      {
        vpcId: args.vpcId,
        description: "HTTPS to the load balancer of the embedding endpoint",
        tags: stackTags(name, `${name}-balancer`),
      },
      { parent: this },
    );
    const https = { ipProtocol: "tcp", fromPort: 443, toPort: 443 };
    for (const cidr of args.allowedCidrs) {
      new vpc.SecurityGroupIngressRule(
        `${name}-balancer-https-${cidr}`,
        { securityGroupId: group.id, cidrIpv4: cidr, ...https },
        { parent: this },
      );
    }
    new vpc.SecurityGroupEgressRule(
      `${name}-balancer-instances`,
      { securityGroupId: group.id, referencedSecurityGroupId: args.instanceSecurityGroupId, ...https },
      { parent: this },
    );
    // The only inbound rule of the instances.
    new vpc.SecurityGroupIngressRule(
      `${name}-instances-balancer`,
      { securityGroupId: args.instanceSecurityGroupId, referencedSecurityGroupId: group.id, ...https },
      { parent: this },
    );
    return group;
  }

  private createLoadBalancer(
    name: string,
    args: DomainEndpointArgs,
    group: ec2.SecurityGroup,
  ): lb.LoadBalancer {
    return new lb.LoadBalancer(
      name,
      {
        namePrefix: NAME_PREFIX,
        loadBalancerType: "application",
        internal: args.internal ?? false,
        subnets: args.subnetIds,
        securityGroups: [group.id],
        // nginx would drop these headers too.
        dropInvalidHeaderFields: true,
        // Longer than the slowest response, during which no byte is sent.
        idleTimeout: LOAD_BALANCER_IDLE_SECONDS,
        enableDeletionProtection: args.protect ?? false,
        tags: stackTags(name),
      },
      { parent: this, protect: args.protect },
    );
  }

  private createTargetGroup(name: string, args: DomainEndpointArgs): lb.TargetGroup {
    return new lb.TargetGroup(
      name,
      {
        namePrefix: NAME_PREFIX,
        vpcId: args.vpcId,
        targetType: "instance",
        port: 443,
        protocol: "HTTPS",
        // A batch can take a thousand times as long as a word; round robin would count them alike.
        loadBalancingAlgorithmType: "least_outstanding_requests",
        // A deregistered instance completes its requests.
        deregistrationDelay: LONGEST_ANSWER_SECONDS,
        healthCheck: {
          protocol: "HTTPS",
          path: "/health",
          matcher: "200",
          interval: 10,
          timeout: 6,
          healthyThreshold: 2,
          // Ends no instance: requests go to the others until its worker is back.
          unhealthyThreshold: 3,
        },
        tags: stackTags(name),
      },
      { parent: this },
    );
  }

  private createListener(
    name: string,
    balancer: lb.LoadBalancer,
    targets: lb.TargetGroup,
    certificateArn: pulumi.Output<string>,
  ): lb.Listener {
    return new lb.Listener(
      name,
      {
        loadBalancerArn: balancer.arn,
        port: 443,
        protocol: "HTTPS",
        sslPolicy: TLS_POLICY,
        certificateArn,
        defaultActions: [{ type: "forward", targetGroupArn: targets.arn }],
      },
      { parent: this },
    );
  }

  private createRecord(name: string, args: DomainEndpointArgs, balancer: lb.LoadBalancer): route53.Record {
    return new route53.Record(
      name,
      {
        zoneId: args.hostedZoneId,
        name: args.domain,
        type: "A",
        aliases: [{ name: balancer.dnsName, zoneId: balancer.zoneId, evaluateTargetHealth: false }],
      },
      { parent: this },
    );
  }
}
