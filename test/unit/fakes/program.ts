import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as pulumi from "@pulumi/pulumi";

// Keeps test bundles out of the user's cache. The program reads this variable when it is loaded.
const cache = mkdtempSync(join(tmpdir(), "qwen3-unit-"));
process.env.XDG_CACHE_HOME = cache;
process.on("exit", () => rmSync(cache, { recursive: true, force: true }));

/** A resource as the program registers it; secrets are in Pulumi's envelope. */
export interface Registered {
  type: string;
  name: string;
  inputs: Record<string, unknown>;
}

/** Keys that must only be found where they belong. */
export const SENTINEL = {
  password: "SentinelSentinelSentinelSentinelSentinelSentinel",
  tlsKey: "-----BEGIN PRIVATE KEY-----SENTINEL",
};

/** Outputs that the providers would compute, by type. Any other type is rejected. */
const COMPUTED: Record<string, (name: string, inputs: Record<string, unknown>) => Record<string, unknown>> = {
  // As the engine's own provider does.
  "pulumi:index:Stash": (_name, { input }) => ({ output: input }),
  "random:index/randomPassword:RandomPassword": () => ({ result: pulumi.secret(SENTINEL.password) }),
  "tls:index/privateKey:PrivateKey": () => ({ privateKeyPem: pulumi.secret(SENTINEL.tlsKey) }),
  "tls:index/selfSignedCert:SelfSignedCert": (name) => ({ certPem: `CERTIFICATE OF ${name}\n` }),
  "tls:index/certRequest:CertRequest": () => ({ certRequestPem: "REQUEST" }),
  "tls:index/locallySignedCert:LocallySignedCert": () => ({ certPem: "CERTIFICATE" }),
  "aws:secretsmanager/secret:Secret": arn("secretsmanager", "secret:"),
  "aws:secretsmanager/secretVersion:SecretVersion": (name) => ({
    ...arn("secretsmanager", "secret:")(name),
    versionId: "v1",
  }),
  "aws:s3/bucket:Bucket": (name) => ({ bucket: name, arn: `arn:aws:s3:::${name}` }),
  "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": () => ({}),
  "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": () => ({}),
  "aws:s3/bucketPolicy:BucketPolicy": () => ({}),
  "aws:s3/bucketObjectv2:BucketObjectv2": () => ({}),
  "aws:ec2/vpc:Vpc": () => ({}),
  "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup": () => ({}),
  "aws:ec2/internetGateway:InternetGateway": () => ({}),
  "aws:ec2/routeTable:RouteTable": () => ({}),
  "aws:ec2/route:Route": () => ({}),
  "aws:ec2/routeTableAssociation:RouteTableAssociation": () => ({}),
  "aws:ec2/subnet:Subnet": () => ({}),
  "aws:ec2/securityGroup:SecurityGroup": () => ({}),
  "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": () => ({}),
  "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule": () => ({}),
  "aws:ec2/eip:Eip": () => ({ publicIp: "203.0.113.10", allocationId: "eipalloc-1" }),
  "aws:ec2/eipAssociation:EipAssociation": () => ({}),
  "aws:iam/role:Role": (name) => ({
    // As Pulumi names it.
    name: `${name}-0a1b2c3`,
    arn: `arn:aws:iam::123456789012:role/${name}-0a1b2c3`,
  }),
  "aws:iam/rolePolicy:RolePolicy": () => ({}),
  "aws:iam/instanceProfile:InstanceProfile": (name) => ({ name }),
  "aws:ec2/instance:Instance": () => ({}),
  "aws:acm/certificate:Certificate": (name) => ({
    ...arn("acm", "certificate/")(name),
    domainValidationOptions: [
      {
        resourceRecordName: "_proof.embeddings.example.com.",
        resourceRecordType: "CNAME",
        resourceRecordValue: "_value.acm-validations.aws.",
      },
    ],
  }),
  "aws:acm/certificateValidation:CertificateValidation": () => ({}),
  "aws:route53/record:Record": () => ({ fqdn: "_proof.embeddings.example.com" }),
  "aws:lb/loadBalancer:LoadBalancer": (name) => ({
    ...arn("elasticloadbalancing", "loadbalancer/app/")(name),
    arnSuffix: `app/${name}/0123456789abcdef`,
    dnsName: "qwen3-1.us-east-1.elb.amazonaws.com",
    zoneId: "Z35SXDOTRQ7X7K",
  }),
  "aws:lb/targetGroup:TargetGroup": (name) => ({
    ...arn("elasticloadbalancing", "targetgroup/")(name),
    arnSuffix: `targetgroup/${name}/0123456789abcdef`,
  }),
  "aws:lb/listener:Listener": arn("elasticloadbalancing", "listener/app/"),
  "aws:ec2/launchTemplate:LaunchTemplate": () => ({ latestVersion: 1 }),
  "aws:autoscaling/group:Group": () => ({}),
  "aws:autoscaling/policy:Policy": (name) => arn("autoscaling", "scalingPolicy:")(name),
  "aws:cloudwatch/metricAlarm:MetricAlarm": (name) => ({ name: `${name}-0a1b2c3` }),
  "aws:autoscaling/lifecycleHook:LifecycleHook": () => ({}),
  "aws:ec2/vpcEndpoint:VpcEndpoint": () => ({}),
  "aws:scheduler/schedule:Schedule": () => ({}),
  "aws:budgets/budget:Budget": () => ({}),
  "command:local:Command": () => ({}),
};

const CALLS: Record<string, (inputs: Record<string, unknown>) => Record<string, unknown>> = {
  "aws:index/getRegion:getRegion": () => ({ region: "us-east-1" }),
  "aws:ec2/getInstanceTypeOfferings:getInstanceTypeOfferings": () => ({
    locations: ["us-east-1d", "us-east-1a", "us-east-1b"],
  }),
  "aws:ssm/getParameter:getParameter": () => ({ insecureValue: "ami-0123456789abcdef0" }),
  "aws:s3/getObject:getObject": ({ key }) => {
    if (String(key).startsWith("stale/")) {
      throw new Error("NotFound");
    }
    return { body: "" };
  },
  "aws:route53/getZone:getZone": ({ name }) => {
    if (name !== "example.com") {
      throw new Error("no matching Route 53 Hosted Zone found");
    }
    return { zoneId: "Z0123456789ABCDEFGHIJ" };
  },
  "aws:index/getAvailabilityZones:getAvailabilityZones": () => ({ names: ["us-east-1a", "us-east-1f"] }),
  // The zone of a subnet is the last character of its ID.
  "aws:ec2/getSubnet:getSubnet": ({ id }) => ({
    id,
    vpcId: String(id).startsWith("subnet-ffff") ? "vpc-ffffffff" : "vpc-0123456789abcdef0",
    availabilityZone: `us-east-1${String(id).at(-1)}`,
  }),
  "aws:ec2/getVpc:getVpc": () => ({ cidrBlockAssociations: [{ cidrBlock: "10.7.0.0/16" }] }),
  "aws:ec2/getRouteTables:getRouteTables": () => ({ ids: ["rtb-1"] }),
};

function arn(service: string, prefix: string) {
  return (name: string) => ({ arn: `arn:aws:${service}:us-east-1:123456789012:${prefix}${name}-AbCdEf` });
}

/**
 * Runs the repository's program under mocks with a stack's configuration; returns what it registered.
 *
 * @throws the one error that a user would see. Every output that depends on a failed look-up rejects with it as well;
 * the runtime reports each error object once.
 */
export async function runProgram(config: Record<string, unknown>, stack = "test") {
  const { reported, stop } = collectRejections();
  const { stackTraceLimit } = Error;
  // The SDK takes a stack trace for the promise of every property: half of the time, without any use here.
  Error.stackTraceLimit = 0;
  try {
    return await run(config, stack);
  } catch (error) {
    // Rejections are reported after the promises that were waited for.
    await new Promise((done) => setTimeout(done, 5));
    const others = [...reported].filter((other) => other !== error);
    throw others.length > 0 ? new AggregateError([error, ...others], "more than one error") : error;
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
    stop();
  }
}

/** Replaces the handlers of unhandled rejections of the runtime and of the test runner. */
function collectRejections(): { reported: Set<unknown>; stop: () => void } {
  const listeners = process.listeners("unhandledRejection");
  const reported = new Set<unknown>();
  process.removeAllListeners("unhandledRejection");
  process.on("unhandledRejection", (reason) => reported.add(reason));
  return {
    reported,
    stop: () => {
      process.removeAllListeners("unhandledRejection");
      for (const listener of listeners) {
        process.on("unhandledRejection", listener);
      }
    },
  };
}

async function run(config: Record<string, unknown>, stack: string) {
  const registered: Registered[] = [];
  await pulumi.runtime.setMocks(
    {
      newResource({ type, name, inputs, id }) {
        registered.push({ type, name, inputs });
        if (type.startsWith("qwen3-embedding-stack:")) {
          return { id: "", state: inputs };
        }
        const computed = COMPUTED[type];
        if (!computed) {
          throw new Error(`the test has no outputs for ${type}`);
        }
        return { id: id || `${name}-id`, state: { ...inputs, ...computed(name, inputs) } };
      },
      call({ token, inputs }) {
        const answer = CALLS[token];
        if (!answer) {
          throw new Error(`the test has no result for ${token}`);
        }
        return answer(inputs);
      },
    },
    "qwen3-embedding-stack",
    stack,
    false,
  );
  acceptErrorHooks();
  pulumi.runtime.setAllConfig({
    "aws:region": "us-east-1",
    ...Object.fromEntries(
      Object.entries(config).map(([name, value]) => [
        `qwen3-embedding-stack:${name}`,
        typeof value === "string" ? value : JSON.stringify(value),
      ]),
    ),
  });
  const { default: program } = await import("../../../index");
  const outputs = await (program as () => Promise<Record<string, unknown>>)();
  const resolved = await resolve(pulumi.output(outputs));
  // The last registrations follow the outputs; the SDK exports this without its type.
  await (pulumi.runtime as unknown as { waitForRPCs(): Promise<void> }).waitForRPCs();
  return { registered, outputs: resolved as Record<string, unknown> };
}

/** SDK 3.270 declares that its mocks support error hooks, but their monitor does not have the method. */
function acceptErrorHooks(): void {
  const monitor = pulumi.runtime.getMonitor() as unknown as Record<string, unknown>;
  monitor.registerErrorHook = (_request: unknown, done: (error: null, answer: object) => void) =>
    done(null, {});
}

/** The value of an output once everything that it depends on is registered. @throws the error of a look-up */
function resolve<T>(output: pulumi.Output<T>): Promise<T> {
  // The SDK's own promise, which its types hide, rejects where apply would wait indefinitely.
  return (output as unknown as { promise(): Promise<T> }).promise();
}
