import type {
  PolicyResource,
  ResourceValidationArgs,
  ResourceValidationPolicy,
  StackValidationPolicy,
} from "@pulumi/policy";
import * as pulumi from "@pulumi/pulumi";
import { beforeAll, describe, expect, it } from "vitest";
import { policies } from "../../policy/policies";
import { type Registered, runProgram } from "./fakes/program";

const KEY = `qwen3_${"a1B2".repeat(12)}`;
const INSTANCE = "aws:ec2/instance:Instance";
const TEMPLATE = "aws:ec2/launchTemplate:LaunchTemplate";
const RULE = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule";
const GROUP = "aws:ec2/securityGroup:SecurityGroup";
const LISTENER = "aws:lb/listener:Listener";
const ROLE_POLICY = "aws:iam/rolePolicy:RolePolicy";

/** A violation: a resource, its invalid properties, and the expected message. */
interface Breach {
  policy: string;
  type: string;
  props: Record<string, unknown>;
  says: RegExp;
}

const https = { ipProtocol: "tcp", fromPort: 443, toPort: 443 };
const statement = (Action: string, Resource: string) => ({
  policy: JSON.stringify({ Statement: [{ Sid: "Wide", Effect: "Allow", Action, Resource }] }),
});

const BREACHES: Breach[] = [
  {
    policy: "no-ssh",
    type: RULE,
    props: { ipProtocol: "tcp", fromPort: 22, toPort: 22, cidrIpv4: "10.0.0.0/8" },
    says: /port 22 is open/,
  },
  {
    policy: "no-ssh",
    type: GROUP,
    props: { ingress: [{ protocol: "-1", fromPort: 0, toPort: 0, cidrBlocks: ["10.0.0.0/8"] }] },
    says: /port 22 is open/,
  },
  {
    policy: "https-only",
    type: RULE,
    props: { ipProtocol: "tcp", fromPort: 30000, toPort: 30000, cidrIpv4: "10.0.0.0/8" },
    says: /can reach tcp 30000 to 30000/,
  },
  {
    policy: "open-to-everyone-on-purpose",
    type: RULE,
    props: { ...https, cidrIpv4: "0.0.0.0/0" },
    says: /the whole internet is allowed/,
  },
  {
    policy: "open-to-everyone-on-purpose",
    type: RULE,
    props: { ...https, cidrIpv6: "::/0" },
    says: /the whole internet is allowed/,
  },
  {
    policy: "tls",
    type: LISTENER,
    props: { protocol: "HTTPS", sslPolicy: "ELBSecurityPolicy-2016-08" },
    says: /versions before 1.2/,
  },
  {
    policy: "tls",
    type: LISTENER,
    props: { protocol: "HTTP", defaultActions: [{ type: "forward" }] },
    says: /does not redirect/,
  },
  {
    policy: "tls",
    type: "aws:lb/targetGroup:TargetGroup",
    props: { protocol: "HTTP" },
    says: /uses HTTP instead of HTTPS/,
  },
  {
    policy: "imdsv2",
    type: INSTANCE,
    props: { metadataOptions: { httpTokens: "optional", httpPutResponseHopLimit: 1 } },
    says: /httpTokens is not required/,
  },
  {
    policy: "imdsv2",
    type: TEMPLATE,
    props: { metadataOptions: { httpTokens: "required", httpPutResponseHopLimit: 2 } },
    says: /HopLimit is not 1/,
  },
  { policy: "no-key-pair", type: INSTANCE, props: { keyName: "mine" }, says: /keyName is set/ },
  {
    policy: "encrypted-volumes",
    type: INSTANCE,
    props: { rootBlockDevice: { encrypted: false } },
    says: /not encrypted/,
  },
  {
    policy: "encrypted-volumes",
    type: TEMPLATE,
    props: { blockDeviceMappings: [{ ebs: { encrypted: "false" } }] },
    says: /not encrypted/,
  },
  {
    policy: "no-secret-in-user-data",
    type: INSTANCE,
    props: { userData: `#cloud-config\nkey: ${KEY}` },
    says: /an API key/,
  },
  {
    policy: "no-secret-in-user-data",
    type: TEMPLATE,
    props: { userData: Buffer.from("-----BEGIN EC PRIVATE KEY-----\n").toString("base64") },
    says: /a private key/,
  },
  {
    policy: "pinned-versions",
    type: INSTANCE,
    props: {
      userData: `QWEN3_MODEL_SOURCE="hf://Qwen/Qwen3-Embedding-4B@main"\nBUNDLE_SHA256="${"0".repeat(64)}"`,
    },
    says: /@main is not pinned/,
  },
  {
    policy: "keys-in-secrets-manager-only",
    type: "command:local:Command",
    props: { environment: { KEY } },
    says: /contains a key/,
  },
  {
    policy: "least-privilege",
    type: ROLE_POLICY,
    props: statement("secretsmanager:*", "arn:aws:secretsmanager:us-east-1:123456789012:secret:a"),
    says: /Wide allows secretsmanager:\*/,
  },
  {
    policy: "least-privilege",
    type: ROLE_POLICY,
    props: statement("secretsmanager:GetSecretValue", "*"),
    says: /on every resource/,
  },
  {
    policy: "no-managed-policies",
    type: "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
    props: { policyArn: "arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore" },
    says: /is an AWS managed policy/,
  },
];

/** The messages of one policy for a resource. */
function judge({ policy, type, props }: Omit<Breach, "says">): string[] {
  const found = policies.find(({ name }) => name === policy) as ResourceValidationPolicy;
  const said: string[] = [];
  const args = { type, props };
  const validate = found.validateResource as (
    args: ResourceValidationArgs,
    report: (text: string) => void,
  ) => void;
  validate(args as unknown as ResourceValidationArgs, (text) => said.push(text));
  return said;
}

/** The messages of a stack policy for these resources. */
function judgeStack(resources: PolicyResource[], policy = "private-encrypted-buckets"): string[] {
  const found = policies.find(({ name }) => name === policy) as StackValidationPolicy;
  const said: string[] = [];
  found.validateStack({ resources } as never, (text) => said.push(text));
  return said;
}

describe("a policy", () => {
  beforeAll(() => {
    pulumi.runtime.setAllConfig({});
  });

  it.each(BREACHES)("$policy rejects $type: $says", ({ says, ...breach }) => {
    expect(judge(breach)).toEqual([expect.stringMatching(says)]);
  });

  it.each([
    [
      "blockPublicAcls",
      "BucketPublicAccessBlock",
      { blockPublicAcls: false },
      /not all four public access block settings/,
    ],
    ["encryption", "BucketServerSideEncryptionConfiguration", { rules: [] }, /no default encryption/],
    ["TLS", "BucketPolicy", { policy: '{"Statement":[]}' }, /does not deny plain HTTP/],
  ])("private-encrypted-buckets rejects a bucket without %s", (_, broken, props, says) => {
    const bucket = { type: "aws:s3/bucket:Bucket", urn: "urn:bucket", props: {} };
    const settings: [string, object][] = [
      [
        "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock",
        {
          blockPublicAcls: true,
          blockPublicPolicy: true,
          ignorePublicAcls: true,
          restrictPublicBuckets: true,
        },
      ],
      [
        "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
        { rules: [{ applyServerSideEncryptionByDefault: { sseAlgorithm: "AES256" } }] },
      ],
      [
        "aws:s3/bucketPolicy:BucketPolicy",
        {
          policy: JSON.stringify({
            Statement: [
              { Effect: "Deny", Action: "s3:*", Condition: { Bool: { "aws:SecureTransport": "false" } } },
            ],
          }),
        },
      ],
    ];
    const resources = (change: boolean) =>
      [
        bucket,
        ...settings.map(([type, good]) => ({
          type,
          urn: `urn:${type}`,
          props: change && type.endsWith(`:${broken}`) ? { ...good, ...props } : good,
          propertyDependencies: { bucket: [bucket] },
        })),
      ] as unknown as PolicyResource[];
    expect(judgeStack(resources(false))).toEqual([]);
    expect(judgeStack(resources(true))).toEqual([expect.stringMatching(says)]);
  });

  it.each([
    ["renamed:allowPublicAccess", []],
    ["qwen3-embedding-stack:allowPublicAccess", [expect.stringMatching(/the whole internet is allowed/)]],
  ])("reads the settings of the project that the engine names: %s", async (setting, said) => {
    await pulumi.runtime.setMocks(
      { newResource: () => ({ id: "", state: {} }), call: () => ({}) },
      "renamed",
      "test",
    );
    pulumi.runtime.setAllConfig({ [setting]: "true" });
    const props = { ...https, cidrIpv4: "0.0.0.0/0" };
    expect(judge({ policy: "open-to-everyone-on-purpose", type: RULE, props })).toEqual(said);
  });

  it("accepts an image that the stack keeps, or that the setting selects", async () => {
    await pulumi.runtime.setMocks(
      { newResource: () => ({ id: "", state: {} }), call: () => ({}) },
      "p",
      "test",
    );
    pulumi.runtime.setAllConfig({ "p:imageId": "ami-0123456789abcdef0" });
    const judgeImage = (type: string, property: string, image: string, from: { type: string }[] = []) => {
      const propertyDependencies = { [property]: from };
      const resource = { type, urn: "urn:x", props: { [property]: image }, propertyDependencies };
      return judgeStack([resource as unknown as PolicyResource], "pinned-image");
    };
    for (const [type, property] of [
      [INSTANCE, "ami"],
      [TEMPLATE, "imageId"],
    ] as const) {
      const other = "ami-00000000000000000";
      expect(judgeImage(type, property, "ami-0123456789abcdef0")).toEqual([]);
      expect(judgeImage(type, property, other, [{ type: "pulumi:index:Stash" }])).toEqual([]);
      const says = [expect.stringMatching(`${property} is not from a Stash`)];
      expect(judgeImage(type, property, other)).toEqual(says);
      expect(judgeImage(type, property, other, [{ type: "aws:ssm/parameter:Parameter" }])).toEqual(says);
    }
  });

  it("requires the permissions boundary of the configuration", async () => {
    await pulumi.runtime.setMocks(
      { newResource: () => ({ id: "", state: {} }), call: () => ({}) },
      "p",
      "test",
    );
    const wanted = "arn:aws:iam::123456789012:policy/qwen3-embedding-boundary";
    const judgeRole = (props: Record<string, unknown>) =>
      judge({ policy: "permissions-boundary", type: "aws:iam/role:Role", props });
    pulumi.runtime.setAllConfig({ "p:permissionsBoundary": wanted });
    expect(judgeRole({ permissionsBoundary: wanted })).toEqual([]);
    expect(judgeRole({})).toEqual([expect.stringMatching(/permissionsBoundary is not set; .*requires arn:/)]);
    expect(judgeRole({ permissionsBoundary: "arn:aws:iam::aws:policy/AdministratorAccess" })).toEqual([
      expect.stringMatching(/is arn:aws:iam::aws:policy\/AdministratorAccess; the setting requires/),
    ]);
    // The default, which leaves the setting unset.
    pulumi.runtime.setAllConfig({ "p:permissionsBoundary": "" });
    expect(judgeRole({})).toEqual([]);
  });

  it("is violated in a test at least once", () => {
    const broken = new Set([
      ...BREACHES.map(({ policy }) => policy),
      ...["permissions-boundary", "pinned-image", "private-encrypted-buckets"],
    ]);
    expect([...broken].sort()).toEqual(policies.map(({ name }) => name).sort());
  });
});

describe("the stack's own resources", () => {
  it.each([
    ["one instance", {}],
    ["one instance on a schedule", { stopSchedule: "0 20 ? * MON-FRI *" }],
    ["a fleet", { domain: "embeddings.example.com", instancesMin: 2, instancesMax: 3 }],
    [
      "roles with a boundary",
      {
        stopSchedule: "0 20 ? * MON-FRI *",
        permissionsBoundary: "arn:aws:iam::123456789012:policy/qwen3-embedding-boundary",
      },
    ],
  ])("violate no policy: %s", async (_, config) => {
    const { registered } = await runProgram({
      ...config,
      allowedCidrs: ["0.0.0.0/0"],
      allowPublicAccess: true,
    });
    const said = policies
      .filter((policy) => "validateResource" in policy)
      .flatMap(({ name }) =>
        registered.flatMap(({ type, inputs }: Registered) => judge({ policy: name, type, props: inputs })),
      );
    expect(registered.length).toBeGreaterThan(30);
    expect(said).toEqual([]);
  });
});
