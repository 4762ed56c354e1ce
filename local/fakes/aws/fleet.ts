import { InputError, type Props, type ResourceDefinition } from "../framework";
import { arn, ec2Id, uniqueName } from "./account";
import { requireCapacity } from "./ec2";

/**
 * The resources of a fleet: recorded and not emulated. The local environment boots single instances. These resources
 * are for the engine tests, which check what is created, changed and replaced. The properties, and which of them
 * replace a resource, are those of the real provider (terraform-provider-aws 6, resource schemas).
 */

const launchTemplate: ResourceDefinition = {
  inputs: [
    ...["namePrefix", "imageId", "instanceType", "iamInstanceProfile", "userData", "metadataOptions"],
    ...[
      "networkInterfaces",
      "blockDeviceMappings",
      "ebsOptimized",
      "tagSpecifications",
      "updateDefaultVersion",
    ],
    ...["instanceMarketOptions", "capacityReservationSpecification", "tags"],
  ],
  replaceOn: ["namePrefix"],
  // Every change creates another version.
  renewed: ["latestVersion", "defaultVersion"],
  check: (inputs) => {
    const size = Buffer.from(String(inputs.userData ?? ""), "base64").length;
    if (size > 16384) {
      throw new InputError("userData", `is ${size} bytes; EC2 allows 16384`);
    }
    return inputs;
  },
  create: async (inputs) => {
    const id = ec2Id("lt");
    const name = uniqueName(inputs.namePrefix);
    return {
      id,
      outputs: { name, arn: arn("ec2", `launch-template/${id}`), latestVersion: 1, defaultVersion: 1 },
    };
  },
  update: async (_id, olds) => {
    const version = Number(olds.latestVersion) + 1;
    return { latestVersion: version, defaultVersion: version };
  },
};

const group: ResourceDefinition = {
  inputs: [
    ...["name", "minSize", "maxSize", "vpcZoneIdentifiers", "launchTemplate", "targetGroupArns", "tags"],
    ...["initialLifecycleHooks", "healthCheckType", "healthCheckGracePeriod", "defaultInstanceWarmup"],
    ...["instanceMaintenancePolicy", "capacityRebalance"],
    ...["waitForCapacityTimeout", "ignoreFailedScalingActivities"],
  ],
  // The hooks too: the provider creates them with the group and never again.
  replaceOn: ["name", "initialLifecycleHooks"],
  check: (inputs) => {
    if (Number(inputs.minSize) > Number(inputs.maxSize)) {
      throw new InputError("minSize", `is ${inputs.minSize}, above maxSize ${inputs.maxSize}`);
    }
    return inputs;
  },
  create: async (inputs, context) => {
    if (process.env.QWEN3_LOCAL_MACHINES !== "none") {
      throw new Error(
        "the local environment boots one instance: remove the settings domain and instancesMax",
      );
    }
    // A provider that waits for capacity fails with the group's first activity that does.
    if (inputs.waitForCapacityTimeout !== "0" && inputs.ignoreFailedScalingActivities !== true) {
      requireCapacity("scaling activity: Failed: Could not launch On-Demand Instances.");
    }
    context.log(`${inputs.minSize} instances`);
    const name = inputs.name as string;
    return {
      id: name,
      outputs: { arn: arn("autoscaling", `autoScalingGroup:1:autoScalingGroupName/${name}`) },
    };
  },
  update: async () => ({}),
};

/** A resource with an ARN and a name that AWS makes from a prefix. */
function named(
  service: string,
  path: string,
  fields: Pick<ResourceDefinition, "inputs" | "replaceOn">,
  more = () => ({}),
): ResourceDefinition {
  return {
    ...fields,
    check: (inputs) => {
      const prefix = inputs.namePrefix;
      if (typeof prefix === "string" && prefix.length > 6) {
        throw new InputError("namePrefix", `is ${prefix}; the provider allows 6 characters`);
      }
      return inputs;
    },
    create: async (inputs) => {
      const name = uniqueName(inputs.namePrefix).slice(0, 32);
      const id = arn(service, `${path}/${name}`);
      return {
        id,
        outputs: { arn: id, arnSuffix: id.replace(/^.*?:(loadbalancer\/)?(?=[^:]*$)/, ""), name, ...more() },
      };
    },
    update: async () => ({}),
  };
}

function recorded(
  prefix: string,
  fields: Pick<ResourceDefinition, "inputs" | "replaceOn">,
  outputs: (inputs: Props, resource: string) => Props = () => ({}),
): ResourceDefinition {
  return {
    ...fields,
    create: async (inputs, { name }) => ({ id: ec2Id(prefix), outputs: outputs(inputs, name) }),
    update: async () => ({}),
  };
}

export const fleet: Record<string, ResourceDefinition> = {
  "aws:ec2/launchTemplate:LaunchTemplate": launchTemplate,
  "aws:autoscaling/group:Group": group,
  "aws:autoscaling/lifecycleHook:LifecycleHook": recorded("hook", {
    inputs: ["name", "autoscalingGroupName", "lifecycleTransition", "heartbeatTimeout", "defaultResult"],
    replaceOn: ["name", "autoscalingGroupName"],
  }),
  "aws:autoscaling/policy:Policy": recorded(
    "policy",
    {
      inputs: [
        ...["name", "autoscalingGroupName", "policyType", "estimatedInstanceWarmup"],
        ...["targetTrackingConfiguration", "adjustmentType", "scalingAdjustment", "cooldown"],
      ],
      replaceOn: ["name", "autoscalingGroupName"],
    },
    (inputs) => ({
      arn: arn(
        "autoscaling",
        `scalingPolicy:1:autoScalingGroupName/${inputs.autoscalingGroupName}:policyName/${inputs.name}`,
      ),
    }),
  ),
  "aws:cloudwatch/metricAlarm:MetricAlarm": recorded(
    "alarm",
    {
      inputs: [
        ...["name", "alarmDescription", "comparisonOperator", "threshold", "evaluationPeriods", "tags"],
        ...["datapointsToAlarm", "treatMissingData", "metricQueries", "alarmActions"],
        ...["namespace", "metricName", "dimensions", "statistic", "period"],
      ],
      replaceOn: ["name"],
    },
    // Pulumi's provider names an alarm after its resource.
    (_, resource) => {
      const name = uniqueName(`${resource}-`);
      return { name, arn: arn("cloudwatch", `alarm:${name}`) };
    },
  ),
  "aws:lb/loadBalancer:LoadBalancer": named(
    "elasticloadbalancing",
    "loadbalancer/app",
    {
      inputs: [
        ...[
          "namePrefix",
          "loadBalancerType",
          "internal",
          "subnets",
          "securityGroups",
          "dropInvalidHeaderFields",
        ],
        ...["idleTimeout", "enableDeletionProtection", "tags"],
      ],
      replaceOn: ["namePrefix", "loadBalancerType", "internal"],
    },
    () => ({ dnsName: "qwen3-1.us-east-1.elb.amazonaws.com", zoneId: "Z35SXDOTRQ7X7K" }),
  ),
  "aws:lb/targetGroup:TargetGroup": named("elasticloadbalancing", "targetgroup", {
    inputs: [
      ...["namePrefix", "vpcId", "targetType", "port", "protocol", "loadBalancingAlgorithmType"],
      ...["deregistrationDelay", "healthCheck", "tags"],
    ],
    replaceOn: ["namePrefix", "vpcId", "targetType", "port", "protocol"],
  }),
  "aws:lb/listener:Listener": named("elasticloadbalancing", "listener/app", {
    inputs: ["loadBalancerArn", "port", "protocol", "sslPolicy", "certificateArn", "defaultActions", "tags"],
    replaceOn: ["loadBalancerArn"],
  }),
  "aws:acm/certificate:Certificate": {
    inputs: ["domainName", "validationMethod", "tags"],
    replaceOn: ["domainName", "validationMethod"],
    create: async (inputs) => {
      const id = arn("acm", `certificate/${ec2Id("c")}`);
      const proof = {
        domainName: inputs.domainName,
        resourceRecordName: `_proof.${inputs.domainName}.`,
        resourceRecordType: "CNAME",
        resourceRecordValue: "_value.acm-validations.aws.",
      };
      return { id, outputs: { arn: id, domainValidationOptions: [proof] } };
    },
    update: async () => ({}),
  },
  "aws:acm/certificateValidation:CertificateValidation": recorded("validation", {
    inputs: ["certificateArn", "validationRecordFqdns"],
    replaceOn: ["certificateArn", "validationRecordFqdns"],
  }),
  "aws:route53/record:Record": recorded(
    "record",
    {
      inputs: ["zoneId", "name", "type", "records", "ttl", "aliases", "allowOverwrite"],
      replaceOn: ["zoneId", "name"],
    },
    (inputs) => ({ fqdn: String(inputs.name).replace(/\.$/, "") }),
  ),
};

/** The invoke `aws.route53.getZone`: this account has the hosted zone example.com. */
export async function getZone(args: Props): Promise<Props> {
  if (args.name !== "example.com") {
    throw new Error("no matching Route 53 Hosted Zone found");
  }
  return { ...args, id: "Z0123456789ABCDEFGHIJ", zoneId: "Z0123456789ABCDEFGHIJ" };
}
