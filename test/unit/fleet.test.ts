import { beforeAll, describe, expect, it } from "vitest";
import { parse } from "yaml";
import { type Registered, runProgram, SENTINEL } from "./fakes/program";

const VPC = "vpc-0123456789abcdef0";
const SUBNETS = ["subnet-0123456a", "subnet-0123456b"];
/** The name of the role too, which Pulumi makes unique: two stacks of one name do not clash. */
const GROUP = "qwen3-embedding-test-0a1b2c3";
const fleet = {
  allowedCidrs: ["203.0.113.0/24"],
  domain: "embeddings.example.com",
  instancesMin: 2,
  instancesMax: 5,
  protect: true,
};

function of(registered: Registered[], type: string) {
  return registered.filter((resource) => new RegExp(`[:/]${type}$`).test(resource.type));
}

function one(registered: Registered[], type: string): Record<string, unknown> {
  const found = of(registered, type);
  expect(found, type).toHaveLength(1);
  return found[0]!.inputs;
}

/** The resource that runs one of the operator's commands. */
function command(registered: Registered[], words: string): Record<string, unknown> {
  const found = of(registered, "Command").filter(({ inputs }) => String(inputs.create).endsWith(` ${words}`));
  expect(found, words).toHaveLength(1);
  return found[0]!.inputs;
}

function alarm(registered: Registered[], name: string): Record<string, unknown> {
  const found = of(registered, "MetricAlarm").filter((each) => each.name.endsWith(`-${name}`));
  expect(found, name).toHaveLength(1);
  return found[0]!.inputs;
}

describe("a fleet", () => {
  let registered: Registered[];
  let outputs: Record<string, unknown>;

  beforeAll(async () => {
    ({ registered, outputs } = await runProgram(fleet));
  });

  it("has the same instances as a single one, except for the settings of the group", async () => {
    const single = await runProgram({ allowedCidrs: fleet.allowedCidrs });
    const document = (text: unknown) => parse(String(text)) as { write_files: { content: string }[] };
    const files = (text: unknown) => document(text).write_files.map(({ content }) => content);
    const machine = files(one(single.registered, "Instance").userData);
    const member = files(
      Buffer.from(String(one(registered, "LaunchTemplate").userData), "base64").toString(),
    );
    const lines = (text: string[]) => text.join("\n").split("\n");
    const differing = (a: string[], b: string[]) => lines(a).filter((line) => !lines(b).includes(line));
    expect(differing(member, machine)).toEqual([
      `QWEN3_AUTO_SCALING_GROUP="${GROUP}"`,
      expect.stringMatching(/^BUNDLE_KEY=/),
      expect.stringMatching(/^BUNDLE_SHA256=/),
    ]);
    for (const property of ["instanceType", "metadataOptions"]) {
      expect(one(registered, "LaunchTemplate")[property]).toEqual(
        one(single.registered, "Instance")[property],
      );
    }
  });

  it("boots the image that the stack keeps", () => {
    expect(one(registered, "LaunchTemplate").imageId).toBe("ami-0123456789abcdef0");
    expect(outputs).toMatchObject({
      imageId: "ami-0123456789abcdef0",
      imageUrn: expect.stringMatching(/EmbeddingService\$pulumi:index:Stash::qwen3-embedding-test-image$/),
    });
  });

  it("boots hardened instances without SSH from encrypted volumes", () => {
    const template = one(registered, "LaunchTemplate");
    expect(template).toMatchObject({
      metadataOptions: { httpEndpoint: "enabled", httpTokens: "required", httpPutResponseHopLimit: 1 },
      blockDeviceMappings: [{ ebs: { encrypted: "true", volumeType: "gp3" } }],
    });
    expect(template).not.toHaveProperty("keyName");
  });

  it("sends clients to an instance once it has reported that it serves, and replaces one after another", () => {
    expect(one(registered, "Group")).toMatchObject({
      name: GROUP,
      minSize: 2,
      maxSize: 5,
      healthCheckType: "EC2",
      initialLifecycleHooks: [
        {
          name: "ready",
          lifecycleTransition: "autoscaling:EC2_INSTANCE_LAUNCHING",
          heartbeatTimeout: 2700,
          defaultResult: "ABANDON",
        },
      ],
      launchTemplate: { version: "1" },
      instanceMaintenancePolicy: { minHealthyPercentage: 100, maxHealthyPercentage: 150 },
    });
    // rollout starts it, so that AWS can roll back.
    expect(one(registered, "Group")).not.toHaveProperty("instanceRefresh");
    expect((one(registered, "Group").vpcZoneIdentifiers as string[]).length).toBe(3);
  });

  it("adds instances by the tokens that they compute and that wait, and removes them by an alarm", () => {
    const policies = of(registered, "Policy").map(({ inputs }) => inputs);
    const dimensions = [{ name: "AutoScalingGroupName", value: GROUP }];
    const sum = (id: string, metricName: string) => ({
      id,
      metricStat: { metric: { namespace: "qwen3-embedding", metricName, dimensions }, stat: "Sum" },
      returnData: false,
    });
    expect(policies.find(({ policyType }) => policyType === "TargetTrackingScaling")).toMatchObject({
      targetTrackingConfiguration: {
        targetValue: 70,
        disableScaleIn: true,
        customizedMetricSpecification: {
          metrics: [
            sum("rate", "TokensPerSecond"),
            sum("waiting", "TokensWaiting"),
            sum("capacity", "TokensPerSecondCapacity"),
            { id: "fullness", expression: "100 * (rate + waiting / 60) / capacity", returnData: true },
          ],
        },
      },
    });
    expect(policies.find(({ policyType }) => policyType === "SimpleScaling")).toMatchObject({
      scalingAdjustment: -1,
      cooldown: 600,
    });
    expect(alarm(registered, "remove")).toMatchObject({
      threshold: 60,
      evaluationPeriods: 60,
      datapointsToAlarm: 60,
      alarmActions: [expect.stringContaining("scalingPolicy:")],
    });
  });

  it("rolls a change back by alarms on health checks and on errors, at its load balancer", () => {
    expect(command(registered, "rollout").environment).toMatchObject({
      ROLLOUT_ALARMS: "qwen3-embedding-test-unhealthy-0a1b2c3 qwen3-embedding-test-errors-0a1b2c3",
    });
    const dimensions = {
      LoadBalancer: "app/qwen3-embedding-test/0123456789abcdef",
      TargetGroup: "targetgroup/qwen3-embedding-test/0123456789abcdef",
    };
    const always = { evaluationPeriods: 5, datapointsToAlarm: 5, treatMissingData: "notBreaching" };
    expect(alarm(registered, "unhealthy")).toMatchObject({
      ...always,
      metricName: "UnHealthyHostCount",
      threshold: 0,
      dimensions,
    });
    expect(alarm(registered, "errors")).toMatchObject({ ...always, threshold: 5 });
    expect(JSON.stringify(alarm(registered, "errors").metricQueries)).toContain(JSON.stringify(dimensions));
  });

  it("lets clients reach the load balancer, and only the load balancer reach instances", () => {
    const rules = of(registered, "SecurityGroupIngressRule").map(({ inputs }) => inputs);
    expect(rules).toHaveLength(2);
    expect(rules).toEqual(
      expect.arrayContaining([
        expect.objectContaining({
          securityGroupId: "qwen3-embedding-test-balancer-id",
          cidrIpv4: "203.0.113.0/24",
          fromPort: 443,
          toPort: 443,
        }),
        expect.objectContaining({
          securityGroupId: "qwen3-embedding-test-id",
          referencedSecurityGroupId: "qwen3-embedding-test-balancer-id",
          fromPort: 443,
          toPort: 443,
        }),
      ]),
    );
  });

  it("terminates TLS 1.2 or later at the load balancer, which uses HTTPS to the instances", () => {
    expect(one(registered, "LoadBalancer")).toMatchObject({
      internal: false,
      dropInvalidHeaderFields: true,
      idleTimeout: 320,
      enableDeletionProtection: true,
    });
    expect(one(registered, "Listener")).toMatchObject({
      port: 443,
      protocol: "HTTPS",
      sslPolicy: "ELBSecurityPolicy-TLS13-1-2-Res-2021-06",
    });
    expect(one(registered, "TargetGroup")).toMatchObject({
      port: 443,
      protocol: "HTTPS",
      deregistrationDelay: 300,
      healthCheck: { protocol: "HTTPS", path: "/health" },
    });
    expect(one(registered, "CertRequest")).toMatchObject({ dnsNames: ["embeddings.example.com"] });
  });

  it("requests a certificate from ACM and validates the name in its hosted zone", () => {
    expect(one(registered, "certificate:Certificate")).toMatchObject({
      domainName: "embeddings.example.com",
      validationMethod: "DNS",
    });
    const records = of(registered, "Record").map(({ inputs }) => inputs);
    expect(records.map(({ zoneId }) => zoneId)).toEqual(Array(2).fill("Z0123456789ABCDEFGHIJ"));
    expect(records.map(({ type }) => type).sort()).toEqual(["A", "CNAME"]);
  });

  it("grants, in addition to a single instance's permissions, its own group and its one namespace of metrics", () => {
    const { Statement } = JSON.parse(one(registered, "RolePolicy").policy as string) as {
      Statement: { Sid: string; Action: string[]; Resource: unknown; Condition?: unknown }[];
    };
    const statement = (sid: string) => Statement.find(({ Sid }) => Sid === sid);
    expect(statement("ReportReadinessAndHealth")).toMatchObject({
      Action: ["autoscaling:CompleteLifecycleAction", "autoscaling:SetInstanceHealth"],
      Resource: `arn:aws:autoscaling:*:123456789012:autoScalingGroup:*:autoScalingGroupName/${GROUP}`,
    });
    expect(statement("PublishUtilization")).toMatchObject({
      Action: ["cloudwatch:PutMetricData"],
      Condition: { StringEquals: { "cloudwatch:namespace": "qwen3-embedding" } },
    });
  });

  it("has a name with a public certificate", () => {
    expect(outputs).toMatchObject({
      endpoint: "https://embeddings.example.com/v1",
      caCertificate: "",
      autoScalingGroup: GROUP,
    });
    expect(outputs).not.toHaveProperty("instanceId");
  });

  it("waits for its instances by itself, whatever a first launch fails with", () => {
    expect(one(registered, "Group")).toMatchObject({
      waitForCapacityTimeout: "0",
      ignoreFailedScalingActivities: true,
    });
    const rollout = command(registered, "rollout");
    expect(rollout).toMatchObject({
      environment: {
        ROLLOUT_TEMPLATE_VERSION: "1",
        ROLLOUT_AUTO_SCALING_GROUP: GROUP,
        ROLLOUT_READY_SECONDS: "2700",
        ROLLOUT_REGION: "us-east-1",
      },
    });
    expect(JSON.parse((rollout.environment as Record<string, string>).ROLLOUT_CAPACITY!)).toMatchObject({
      purchaseOption: "on-demand",
      instanceType: "g6e.xlarge",
      zones: ["us-east-1a", "us-east-1b", "us-east-1d"],
      vcpus: 4,
    });
  });

  it("is verified as a fleet, again with each version of the launch template", () => {
    expect(command(registered, "verify --from-env")).toMatchObject({
      environment: { VERIFY_AUTO_SCALING_GROUP: GROUP, VERIFY_CA_CERTIFICATE: "" },
      triggers: expect.arrayContaining([GROUP, "1"]),
    });
  });

  it("fixes no name that another stack of the same name, in the same account, would have too", () => {
    const named = registered.flatMap(({ type, inputs }) =>
      type.startsWith("aws:") && inputs.name !== undefined ? [[type.split(":").at(-1), inputs.name]] : [],
    );
    expect(named).toEqual([
      // The domain belongs to one stack.
      ["Record", "_proof.embeddings.example.com."],
      ["Record", "embeddings.example.com"],
      // The name of the role, which Pulumi makes.
      ["Group", GROUP],
      // Within its group.
      ["LifecycleHook", "ready"],
    ]);
    expect(one(registered, "bucket:Bucket")).not.toHaveProperty("bucket");
  });

  it("puts the key only into the secret's version", () => {
    const found = registered.filter(({ inputs }) => JSON.stringify(inputs).includes(SENTINEL.password));
    expect([...new Set(found.map(({ type }) => type.split(":").at(-1)))]).toEqual(["SecretVersion"]);
  });
});

describe("a fleet that does not scale", () => {
  it("publishes no utilization, has no scaling policy and no permission to publish", async () => {
    const { registered } = await runProgram({ ...fleet, instancesMin: 3, instancesMax: 3 });
    expect(of(registered, "Policy")).toEqual([]);
    expect(of(registered, "MetricAlarm").map(({ name }) => name.split("-").at(-1))).toEqual([
      "unhealthy",
      "errors",
    ]);
    expect(one(registered, "RolePolicy").policy).not.toContain("PutMetricData");
    expect(one(registered, "Group")).toMatchObject({
      minSize: 3,
      maxSize: 3,
      instanceMaintenancePolicy: { maxHealthyPercentage: 134 },
    });
  });
});

describe("a purchase option", () => {
  const reserved = { availabilityZone: "us-east-1b", capacityReservationId: "cr-0123456789abcdef0" };
  const target = { capacityReservationTarget: { capacityReservationId: "cr-0123456789abcdef0" } };

  it.each([
    ["spot", { purchaseOption: "spot" }, { instanceMarketOptions: { marketType: "spot" } }],
    [
      "reservation",
      { purchaseOption: "reservation", ...reserved },
      { capacityReservationSpecification: target },
    ],
    [
      "capacity-block",
      { purchaseOption: "capacity-block", instanceType: "p4d.24xlarge", ...reserved },
      { instanceMarketOptions: { marketType: "capacity-block" }, capacityReservationSpecification: target },
    ],
  ])("%s is requested by an instance and by a fleet in the same way", async (_, config, inputs) => {
    const single = await runProgram({ allowedCidrs: fleet.allowedCidrs, ...config });
    expect(one(single.registered, "Instance")).toMatchObject(inputs);
    const several = await runProgram({ ...fleet, ...config });
    expect(one(several.registered, "LaunchTemplate")).toMatchObject(inputs);
  });

  it("keeps a fleet in the zone of its reservation, and its load balancer in two zones", async () => {
    const { registered } = await runProgram({ ...fleet, purchaseOption: "reservation", ...reserved });
    expect(one(registered, "Group").vpcZoneIdentifiers).toEqual(["qwen3-embedding-test-us-east-1b-id"]);
    expect((one(registered, "LoadBalancer").subnets as string[]).length).toBe(3);
  });

  it("sets no market options on demand", async () => {
    const { registered } = await runProgram({ allowedCidrs: fleet.allowedCidrs });
    expect(one(registered, "Instance")).not.toHaveProperty("instanceMarketOptions");
    expect(one(registered, "Instance")).not.toHaveProperty("capacityReservationSpecification");
  });
});

describe("an existing VPC", () => {
  const existing = { vpcId: VPC, subnetIds: SUBNETS };

  it("is used unchanged by a single instance", async () => {
    const { registered } = await runProgram({ allowedCidrs: fleet.allowedCidrs, ...existing });
    for (const type of ["Vpc", "Subnet", "InternetGateway", "Route", "DefaultSecurityGroup"]) {
      expect(of(registered, type), type).toEqual([]);
    }
    expect(one(registered, "Instance").subnetId).toBe(SUBNETS[0]);
    expect(one(registered, "SecurityGroup").vpcId).toBe(VPC);
  });

  it("has an internal endpoint without public addresses, and the VPC endpoints that instances use", async () => {
    const { registered } = await runProgram({
      ...fleet,
      ...existing,
      internal: true,
      createVpcEndpoints: true,
    });
    expect(one(registered, "LoadBalancer")).toMatchObject({ internal: true, subnets: SUBNETS });
    expect(one(registered, "LaunchTemplate")).toMatchObject({
      networkInterfaces: [{ associatePublicIpAddress: "false" }],
    });
    expect(of(registered, "Eip")).toEqual([]);
    const services = of(registered, "VpcEndpoint").map(({ inputs }) => inputs.serviceName);
    expect(services.sort()).toEqual(
      ["autoscaling", "ec2messages", "monitoring", "s3", "secretsmanager", "ssm", "ssmmessages"].map(
        (service) => `com.amazonaws.us-east-1.${service}`,
      ),
    );
  });

  it.each([
    [
      "a subnet of another VPC",
      { subnetIds: ["subnet-ffff000a", SUBNETS[1]] },
      /subnet-ffff000a is in vpc-ffffffff/,
    ],
    ["two subnets in one zone", { subnetIds: [SUBNETS[0], "subnet-9999999a"] }, /two are in one zone/],
    [
      "subnets without the type",
      { subnetIds: ["subnet-0123456c", "subnet-0123456e"] },
      /which offer g6e.xlarge/,
    ],
    ["a zone that no subnet is in", { availabilityZone: "us-east-1d" }, /at least one in us-east-1d/],
  ])("refuses %s", async (_, change, message) => {
    await expect(runProgram({ ...fleet, ...existing, ...change })).rejects.toThrow(message);
  });
});

describe("an instance without internet access", () => {
  const mirrored = {
    modelSource: "s3://mirror/qwen3/model",
    packageMirror: "s3://mirror/qwen3/packages",
    imageId: "ami-00000000000000001",
  };

  it("gets model and packages from S3, each with its permission, and uses its own image", async () => {
    const { registered } = await runProgram({ allowedCidrs: fleet.allowedCidrs, ...mirrored });
    const instance = one(registered, "Instance");
    expect(instance.ami).toBe("ami-00000000000000001");
    expect(of(registered, "Stash")).toEqual([]);
    expect(instance.userData).toContain('QWEN3_PACKAGE_MIRROR="s3://mirror/qwen3/packages"');
    const { Statement } = JSON.parse(one(registered, "RolePolicy").policy as string) as {
      Statement: { Sid: string; Resource: unknown; Condition?: unknown }[];
    };
    expect(Statement.map(({ Sid }) => Sid)).toEqual([
      ...["ReadOwnSecrets", "ReadBundleAndIndex", "SessionManager"],
      ...["ListModel", "ReadModel", "ListPackages", "ReadPackages"],
    ]);
    expect(Statement.find(({ Sid }) => Sid === "ReadPackages")?.Resource).toBe(
      "arn:aws:s3:::mirror/qwen3/packages/*",
    );
  });

  it("is rejected before anything is created if the mirror was filled for other locks", async () => {
    await expect(
      runProgram({ allowedCidrs: fleet.allowedCidrs, packageMirror: "s3://mirror/stale/packages" }),
    ).rejects.toThrow(
      /packageMirror is "s3:\/\/mirror\/stale\/packages".*`npm run mirror`.*Nothing was changed/s,
    );
  });
});

describe("a domain", () => {
  it("is rejected if this account has no hosted zone for it", async () => {
    await expect(runProgram({ ...fleet, domain: "embeddings.example.org" })).rejects.toThrow(
      /domain is "embeddings.example.org".*searched for embeddings.example.org, example.org/,
    );
  });

  it("is accepted with the ID of a hosted zone", async () => {
    const { registered } = await runProgram({
      ...fleet,
      domain: "a.example.org",
      hostedZoneId: "Z00000000000000000001",
    });
    expect(of(registered, "Record").map(({ inputs }) => inputs.zoneId)).toEqual(
      Array(2).fill("Z00000000000000000001"),
    );
  });
});
