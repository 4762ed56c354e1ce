import * as pulumi from "@pulumi/pulumi";
import { MODEL } from "./bundle/model";
import { type EmbeddingServiceArgs, flatten } from "./embeddingServiceArgs";
import { ApiKey } from "./keys/apiKey";
import type { Service } from "./service/context";
import { lookUpSurroundings } from "./service/surroundings";
import { createWithAddress } from "./service/withAddress";
import { createWithDomain } from "./service/withDomain";
import { checkSettings } from "./settings/check";
import type { Settings } from "./settings/table";

/** What the steps of the constructor create. */
interface Created extends Service {
  region: string;
  /** By client. */
  keys: Record<string, ApiKey>;
}

/**
 * Qwen3-Embedding-4B as a service on AWS: network, API keys, endpoint and GPU instances.
 *
 * Every resource is a child of this component, and its name begins with the component's name. Look-ups and resources use
 * the component's provider: `{ provider: new aws.Provider("eu", { region: "eu-west-1" }) }` creates all of it in another
 * region. The component is created when its instances run. They serve later: {@link Verification} waits for that.
 */
export class EmbeddingService extends pulumi.ComponentResource<Created> {
  /** Base URL for OpenAI clients, `https://HOST/v1`. */
  readonly endpoint: pulumi.Output<string>;
  /** PEM of the two certificate authorities of the endpoint; empty with a domain, whose certificate is public. */
  readonly caCertificate: pulumi.Output<string>;
  /** Name of the model in requests. */
  readonly model: pulumi.Output<string>;
  /** Length of an embedding. */
  readonly dimensions: pulumi.Output<number>;
  readonly region: pulumi.Output<string>;
  /** ID of the instance; undefined with a domain. */
  readonly instanceId: pulumi.Output<string | undefined>;
  /** Name of the Auto Scaling group; undefined without a domain. */
  readonly autoScalingGroup: pulumi.Output<string | undefined>;
  /** Version of the launch template that the instances of the group must have; undefined without a domain. */
  readonly launchTemplateVersion: pulumi.Output<string | undefined>;
  /** ARNs of the secrets with the API keys, by client. */
  readonly secretArns: pulumi.Output<Record<string, string>>;
  /** URNs to replace in order to rotate the API keys, by client. */
  readonly apiKeyUrns: pulumi.Output<Record<string, string>>;
  /** `secretArns` of the first client. */
  readonly secretArn: pulumi.Output<string>;
  /** `apiKeyUrns` of the first client. */
  readonly apiKeyUrn: pulumi.Output<string>;
  /** Versions of the secrets with the API keys. They change when a key rotates. */
  readonly keyVersions: pulumi.Output<string[]>;
  /** Version of the secret with the instances' certificate. It changes when the certificate is renewed. */
  readonly certificateVersion: pulumi.Output<string>;
  /** Resolves once every resource is declared, and rejects with the one error of a look-up that found a problem. */
  readonly declared: Promise<void>;

  /**
   * @param name begins the name of every resource: up to 36 lower-case letters, digits and hyphens
   * @throws pulumi.RunError that lists everything that is wrong with name and arguments, before anything is created
   */
  constructor(name: string, args: EmbeddingServiceArgs, opts?: pulumi.ComponentResourceOptions) {
    const settings = checkSettings({ ...flatten(args) });
    super("qwen3-embedding-stack:index:EmbeddingService", requireName(name), settings, opts);
    const [first] = settings.clients;
    this.endpoint = this.output(({ url }) => url);
    this.caCertificate = this.output(({ caCertificate }) => caCertificate);
    this.model = pulumi.output(MODEL.servedName);
    this.dimensions = pulumi.output(MODEL.dimensions);
    this.region = this.output(({ region }) => pulumi.output(region));
    this.instanceId = this.output(({ instanceId }) => instanceId);
    this.autoScalingGroup = this.output(({ autoScalingGroup }) => autoScalingGroup);
    this.launchTemplateVersion = this.output(({ launchTemplateVersion }) => launchTemplateVersion);
    this.secretArns = this.output(({ keys }) => byClient(keys, (key) => key.secretArn));
    this.apiKeyUrns = this.output(({ keys }) => byClient(keys, (key) => key.urnToReplace));
    this.secretArn = this.output(({ keys }) => keys[first!]!.secretArn);
    this.apiKeyUrn = this.output(({ keys }) => keys[first!]!.urnToReplace);
    this.keyVersions = this.output(({ keys }) => pulumi.all(Object.values(keys).map((key) => key.versionId)));
    this.certificateVersion = this.output(({ certificate }) => certificate.versionId);
    this.declared = this.getData().then(() => undefined);
  }

  /** Look-ups come first, so that settings that AWS cannot satisfy are rejected before anything is created. */
  protected override async initialize(
    args: pulumi.Inputs,
    _opts?: pulumi.ComponentResourceOptions,
    name = "",
  ): Promise<Created> {
    const settings = args as unknown as Settings;
    const surroundings = await lookUpSurroundings(settings, { parent: this });
    const keys = this.createKeys(name, settings);
    const context = { name, settings, keys, parent: this, ...surroundings };
    const service =
      settings.domain === undefined
        ? await createWithAddress(context)
        : await createWithDomain(context, settings.domain);
    this.registerOutputs({ endpoint: service.url });
    return { ...service, keys, region: surroundings.region };
  }

  /** One value of what the steps created. It is known as soon as that value is, whatever else is still unknown. */
  private output<T>(select: (created: Created) => pulumi.Output<T>): pulumi.Output<T>;
  private output<T>(select: (created: Created) => pulumi.Input<T> | undefined): pulumi.Output<T | undefined>;
  private output<T>(select: (created: Created) => pulumi.Input<T> | undefined): pulumi.Output<T | undefined> {
    return pulumi.output(this.getData().then(select)) as pulumi.Output<T | undefined>;
  }

  private createKeys(
    name: string,
    { clients, secretRecoveryDays: recoveryDays, protect }: Settings,
  ): Record<string, ApiKey> {
    return Object.fromEntries(
      clients.map((client) => [
        client,
        new ApiKey(`${name}-${client}`, { client, recoveryDays, protect }, { parent: this }),
      ]),
    );
  }
}

/** S3 allows 37 characters for the prefix of a bucket's name, which is the name and a hyphen. */
function requireName(name: string): string {
  if (!/^[a-z][a-z0-9-]{0,35}$/.test(name)) {
    throw new pulumi.RunError(
      `the name of the EmbeddingService is "${name}"; allowed: up to 36 lower-case letters, digits and hyphens, ` +
        "beginning with a letter. Nothing was changed.",
    );
  }
  return name;
}

function byClient<T>(keys: Record<string, ApiKey>, value: (key: ApiKey) => pulumi.Output<T>) {
  return pulumi.output(Object.fromEntries(Object.entries(keys).map(([client, key]) => [client, value(key)])));
}
