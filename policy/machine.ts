import type { StackValidationPolicy } from "@pulumi/policy";
import * as pulumi from "@pulumi/pulumi";
import { isKnown, isTrue, list, part, resourcePolicy } from "./resources";

const INSTANCE = "aws:ec2/instance:Instance";
const TEMPLATE = "aws:ec2/launchTemplate:LaunchTemplate";
const MACHINES = [INSTANCE, TEMPLATE];

/** Formats of keys, tokens and private keys. */
const SECRETS: Record<string, RegExp> = {
  "an API key of this stack": /qwen3_[0-9A-Za-z]{48}/,
  "a private key": /-----BEGIN [A-Z ]*PRIVATE KEY-----/,
  "an AWS access key": /\b(AKIA|ASIA)[0-9A-Z]{16}\b/,
  "a Hugging Face token": /\bhf_[0-9A-Za-z]{30,}/,
};

const IMDSV2 = resourcePolicy(
  "imdsv2",
  "The metadata service requires tokens and has a hop limit of 1, so that it responds only to the instance itself.",
  MACHINES,
  ({ metadataOptions }) => [
    ...(part(metadataOptions, "httpTokens") === "required"
      ? []
      : [
          "metadataOptions.httpTokens is not required: IMDSv1 would return the role's credentials to a plain GET",
        ]),
    ...(part(metadataOptions, "httpPutResponseHopLimit") === 1
      ? []
      : ["metadataOptions.httpPutResponseHopLimit is not 1: containers could get the role's credentials"]),
  ],
);

const NO_KEY_PAIR = resourcePolicy(
  "no-key-pair",
  "No instance has an SSH key pair.",
  MACHINES,
  ({ keyName }) => (keyName === undefined ? [] : ["keyName is set; use Session Manager instead of SSH"]),
);

const ENCRYPTED_VOLUMES = resourcePolicy(
  "encrypted-volumes",
  "Every volume of an instance is encrypted, the root volume explicitly.",
  MACHINES,
  (props, { type }) => {
    const volumes =
      type === INSTANCE
        ? [props.rootBlockDevice ?? {}, ...list(props.ebsBlockDevices)]
        : (list(props.blockDeviceMappings).length > 0 ? list(props.blockDeviceMappings) : [{}]).map(
            (mapping) => part(mapping, "ebs") ?? {},
          );
    return volumes
      .filter((volume) => !isTrue(part(volume, "encrypted")))
      .map(() => "a volume is not encrypted");
  },
);

const NO_SECRET_IN_USER_DATA = resourcePolicy(
  "no-secret-in-user-data",
  "User data contains no secret, because any process on the instance and anyone who can describe it can see it.",
  MACHINES,
  (props) => {
    const text = userData(props);
    return Object.entries(SECRETS)
      .filter(([, pattern]) => pattern.test(text))
      .map(([what]) => `the user data contains ${what}`);
  },
);

const PINNED = resourcePolicy(
  "pinned-versions",
  "The model is a commit or in the deployer's own bucket, and the bundle has a digest.",
  MACHINES,
  (props) => {
    const text = userData(props);
    const source = /QWEN3_MODEL_SOURCE="?([^"\\\n]*)/.exec(text)?.[1];
    return [
      ...(source === undefined || /^s3:\/\/|^hf:\/\/.+@[0-9a-f]{40}$/.test(source)
        ? []
        : [`the model ${source} is not pinned to a commit`]),
      ...(text === "" || /BUNDLE_SHA256="?[0-9a-f]{64}/.test(text)
        ? []
        : ["the user data has no digest of the bundle"]),
    ];
  },
);

/** Pulumi's own resource for a value that stays in the stack's state. */
const STASH = "pulumi:index:Stash";

const PINNED_IMAGE: StackValidationPolicy = {
  name: "pinned-image",
  description:
    "The image is the one that the stack keeps or the setting selects, and does not follow AWS's latest.",
  enforcementLevel: "mandatory",
  validateStack: ({ resources }, report) => {
    for (const { type, props, propertyDependencies, urn } of resources) {
      const image = type === INSTANCE ? "ami" : "imageId";
      const isKept = (propertyDependencies[image] ?? []).some((each) => each.type === STASH);
      if (MACHINES.includes(type) && !isKept && !isOwnImage(props[image])) {
        report(`${image} is not from a Stash: AWS's next image would replace the instances`, urn);
      }
    }
  },
};

export const machinePolicies = [
  ...[IMDSV2, NO_KEY_PAIR, ENCRYPTED_VOLUMES, NO_SECRET_IN_USER_DATA, PINNED],
  PINNED_IMAGE,
];

/** Whether the image is the value of the setting imageId, which changes only with the setting. */
function isOwnImage(image: unknown): boolean {
  return image !== undefined && image === new pulumi.Config().get("imageId");
}

/** The user data, plain or decoded from base64. Empty while it is not known. */
function userData({ userData, userDataBase64 }: Record<string, unknown>): string {
  const text = [userData, userDataBase64].find(isKnown) ?? "";
  return /^[A-Za-z0-9+/\s]+={0,2}$/.test(text) ? Buffer.from(text, "base64").toString("utf8") : text;
}
