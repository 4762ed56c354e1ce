// Generated from components/settings/table.ts by `npm run generate`.

/** Arguments of the packaged EmbeddingService. */
export interface EmbeddingServiceArgs {
  /**
   * EC2 instance type with NVIDIA GPUs of compute capability 8.0 or later. A100s are p4d.24xlarge and p4de.24xlarge, with eight GPUs each.
   * Allowed: an EC2 instance type such as g6e.xlarge.
   * Default: `g6e.xlarge`.
   */
  instanceType?: string;
  /**
   * Availability Zone for the instances, for example when another zone has no capacity. Empty selects the first zone by name that offers the instance type, or with a domain every zone that does.
   * Allowed: a zone of the region such as us-east-1a.
   * Default: not set.
   */
  availabilityZone?: string;
  /**
   * How AWS bills and provides the instances. AWS can reclaim a spot instance with two minutes' notice. reservation and capacity-block require capacityReservationId and availabilityZone.
   * Allowed: on-demand, spot, reservation or capacity-block.
   * Default: `on-demand`.
   */
  purchaseOption?: string;
  /**
   * ID of an existing capacity reservation, or of the reservation of a capacity block.
   * Allowed: the ID of a capacity reservation such as cr-0123456789abcdef0.
   * Default: not set.
   */
  capacityReservationId?: string;
  /**
   * Minimum number of instances. More than one requires a domain.
   * Allowed: a whole number of instances from 1 to 50.
   * Default: `1`.
   */
  instancesMin?: number;
  /**
   * Maximum number of instances. If it is above instancesMin, the number of instances follows their work.
   * Allowed: a whole number of instances from 1 to 50.
   * Default: `1`.
   */
  instancesMax?: number;
  /**
   * Size of the encrypted gp3 root volume in GiB. AWS's image uses about 75, SGLang 11 and the model 8.
   * Allowed: a whole number of GiB from 100 to 16384.
   * Default: `150`.
   */
  rootVolumeGib?: number;
  /**
   * What SGLang computes on. cpu is for trying the stack without a GPU, with any instance type.
   * Allowed: cuda or cpu.
   * Default: `cuda`.
   */
  accelerator?: string;
  /**
   * Number of workers on an instance without a GPU. An instance with GPUs runs one worker for each GPU.
   * Allowed: a whole number of workers from 1 to 8.
   * Default: `1`.
   */
  cpuWorkers?: number;
  /**
   * DNS name of the endpoint in a Route 53 hosted zone, such as embeddings.example.com. With a domain, instances run in an Auto Scaling group behind an Application Load Balancer with a public certificate. Empty is one instance with an Elastic IP address and a private certificate authority.
   * Allowed: a lower-case DNS name such as embeddings.example.com.
   * Default: not set.
   */
  domain?: string;
  /**
   * Public Route 53 hosted zone of the domain. Empty selects the zone in this account whose name the domain ends in.
   * Allowed: the ID of a Route 53 hosted zone such as Z0123456789ABCDEFGHIJ.
   * Default: not set.
   */
  hostedZoneId?: string;
  /**
   * Which of the two private certificate authorities signs the endpoint's certificate. Clients trust both, so that the key of the other one can be replaced without an outage. Without a domain only.
   * Allowed: first or second.
   * Default: `first`.
   */
  certificateAuthority?: string;
  /**
   * Use an internal load balancer in vpcId and instances without a public IP address. Requires a domain.
   * Allowed: true or false.
   * Default: `false`.
   */
  internal?: boolean;
  /**
   * IPv4 ranges that can reach the endpoint, for example 203.0.113.0/24. The machine that you deploy from must be in one of them, because the deployment verifies the endpoint.
   * Allowed: a list of 1 to 60 different IPv4 ranges (the limit of a security group), such as 203.0.113.0/24.
   */
  allowedCidrs: string[];
  /**
   * Confirm that a range wider than /8 in allowedCidrs is intended. Every call still requires a key.
   * Allowed: true or false.
   * Default: `false`.
   */
  allowPublicAccess?: boolean;
  /**
   * Existing VPC to use. Empty creates a VPC for this stack.
   * Allowed: the ID of a VPC such as vpc-0123456789abcdef0.
   * Default: not set.
   */
  vpcId?: string;
  /**
   * Subnets of vpcId, one in each Availability Zone; two or more with a domain. They must be public unless internal is true.
   * Allowed: a list of up to 20 different subnet IDs such as subnet-0123456789abcdef0.
   * Default: `[]`.
   */
  subnetIds?: string[];
  /**
   * Create the VPC endpoints through which instances in vpcId reach AWS without internet access. Leave it false if the VPC has them.
   * Allowed: true or false.
   * Default: `false`.
   */
  createVpcEndpoints?: boolean;
  /**
   * Names of the clients. Each client has its own API key. The first one is the default of the scripts and of the outputs secretArn and apiKeyUrn.
   * Allowed: a list of 1 to 50 different names (the limit of one role's policy) of 1 to 64 lower-case letters, digits and hyphens, each beginning with a letter.
   * Default: `["default"]`.
   */
  clients?: string[];
  /**
   * Seconds for which the previous key remains valid after a rotation, from 0 (it is revoked at once) to a week.
   * Allowed: a whole number of seconds from 0 to 604800.
   * Default: `3600`.
   */
  keyGraceSeconds?: number;
  /**
   * Days for which Secrets Manager can restore a deleted key, from 7 to 30. 0 deletes keys immediately.
   * Allowed: 0, or a whole number of days from 7 to 30 (the recovery window of Secrets Manager).
   * Default: `7`.
   */
  secretRecoveryDays?: number;
  /**
   * Protect the API keys, the address that clients use and the keys of the certificate authorities that they trust: Pulumi refuses to delete them until this is false.
   * Allowed: true or false.
   * Default: `false`.
   */
  protect?: boolean;
  /**
   * Source of the model weights, hf://OWNER/NAME@COMMIT or s3://BUCKET/PREFIX with a file SHA256SUMS.
   * Allowed: hf://OWNER/NAME@REVISION with a commit of 40 hexadecimal digits, or s3://BUCKET/PREFIX.
   * Default: `hf://Qwen/Qwen3-Embedding-4B@5cf2132abc99cad020ac570b19d031efec650f2b`.
   */
  modelSource?: string;
  /**
   * SHA-256 of the file SHA256SUMS of weights in S3. Empty does not check that file; the weights are always checked against it.
   * Allowed: 64 hexadecimal digits.
   * Default: not set.
   */
  modelSha256?: string;
  /**
   * Maximum length of an input in tokens, including the end-of-text token. The limit of the model is 32768.
   * Allowed: a whole number of tokens from 64 to 32768.
   * Default: `32768`.
   */
  contextLength?: number;
  /**
   * Fraction of GPU memory that SGLang reserves for weights and KV cache.
   * Allowed: a number from 0.1 to 0.95.
   * Default: `0.85`.
   */
  memFractionStatic?: number;
  /**
   * Maximum number of inputs in one request. OpenAI's limit is 2048.
   * Allowed: a whole number of inputs from 1 to 2048.
   * Default: `2048`.
   */
  maxInputs?: number;
  /**
   * Maximum size of a request body in bytes.
   * Allowed: a whole number of bytes from 65536 to 67108864.
   * Default: `8388608`.
   */
  maxBodyBytes?: number;
  /**
   * AMI for the instances: Ubuntu 24.04 with NVIDIA's driver. An image that already has the system packages of the bootstrap needs no package archive. Empty selects AWS's latest image in the first update and keeps it; `npm run image` moves to a later one.
   * Allowed: the ID of an AMI such as ami-0123456789abcdef0.
   * Default: not set.
   */
  imageId?: string;
  /**
   * S3 prefix with the Python packages, s3://BUCKET/PREFIX, filled by `npm run mirror`. Empty uses PyPI.
   * Allowed: s3://BUCKET/PREFIX, filled by `npm run mirror`.
   * Default: not set.
   */
  packageMirror?: string;
  /**
   * Proxy through which instances download packages and weights, http://HOST:PORT. Empty uses no proxy.
   * Allowed: an http:// or https:// URL.
   * Default: not set.
   */
  httpsProxy?: string;
  /**
   * Endpoint URL for AWS services, for a proxy or an emulator. Empty uses the endpoints of the region.
   * Allowed: an http:// or https:// URL.
   * Default: not set.
   */
  awsEndpointUrl?: string;
  /**
   * Maximum time from the launch of an instance to its first successful response.
   * Allowed: a whole number of seconds from 10 to 14400.
   * Default: `2700`.
   */
  verificationTimeoutSeconds?: number;
  /**
   * Maximum time in which a single instance completes its requests before its address moves to a new instance. Requests that take longer are cut.
   * Allowed: a whole number of seconds from 0 to 600.
   * Default: `60`.
   */
  drainSeconds?: number;
  /**
   * ARN of the IAM managed policy that is the permissions boundary of the stack's roles. The deployer's policies require it (docs/guides/deployer.md). Empty creates the roles without a boundary, which these policies do not allow.
   * Allowed: the ARN of a managed policy such as arn:aws:iam::123456789012:policy/qwen3-embedding-boundary.
   * Default: not set.
   */
  permissionsBoundary?: string;
  /**
   * When to stop a single instance: the six fields of a cron expression in EventBridge Scheduler, for example 0 20 ? * MON-FRI *. A stopped instance keeps its volume and its address. Empty never stops it.
   * Allowed: the six fields of an EventBridge cron expression such as "0 20 ? * MON-FRI *".
   * Default: not set.
   */
  stopSchedule?: string;
  /**
   * When to start it again, in the same form. Empty never starts it.
   * Allowed: the six fields of an EventBridge cron expression such as "0 7 ? * MON-FRI *".
   * Default: not set.
   */
  startSchedule?: string;
  /**
   * IANA time zone of both schedules, such as Europe/Berlin.
   * Allowed: the IANA name of a time zone such as Europe/Berlin.
   * Default: `UTC`.
   */
  scheduleTimezone?: string;
}
