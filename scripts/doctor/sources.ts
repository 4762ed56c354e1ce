import { lockId } from "../../components/bundle/bundle";
import { AMI_PARAMETER } from "../../components/compute/image";
import { parseS3Prefix } from "../../components/settings/formats";
import { describeError } from "../lib/text";
import { Skipped } from "../verify/row";
import type { Account } from "./account";
import { type Check, Problem, Warning } from "./check";
import type { Subject } from "./subject";

const DAY_MS = 24 * 3600 * 1000;
/** AWS releases its GPU images several times a month; security updates are in the later ones. */
const OLD_DAYS = 180;
const FETCH_MS = 10_000;

/** What an instance is made from: image, weights, packages. */
export function sourceChecks(account: Account, subject: Subject): Check[] {
  const { modelSource, packageMirror } = subject.settings;
  return [
    {
      name: "image",
      actions: "ssm:GetParameter or ec2:DescribeImages",
      run: () => image(account, subject),
    },
    {
      name: "weights",
      run: () =>
        parseS3Prefix(modelSource)
          ? object(
              account,
              "modelSource",
              modelSource,
              "SHA256SUMS",
              "npm run mirror -- --only model --to s3://…",
            )
          : hubFile(subject),
    },
    {
      name: "package mirror",
      run: async () =>
        packageMirror === undefined
          ? new Skipped("packageMirror is not set")
          : object(
              account,
              "packageMirror",
              packageMirror,
              `${lockId()}.complete`,
              "npm run mirror -- --only packages --to s3://…",
            ),
    },
  ];
}

async function image(account: Account, subject: Subject): Promise<string | Warning> {
  const { imageId, rootVolumeGib } = subject.settings;
  const id = imageId ?? (await account.parameter(AMI_PARAMETER));
  const next = imageId ? "set imageId to an image of this region" : "set imageId, or another aws:region";
  const found = await account.image(id).catch((error: Error) => {
    throw isGone(error) ? new Problem(`there is no ${id} in ${subject.region}`, next) : error;
  });
  if (!found) {
    throw new Problem(`there is no ${id} in ${subject.region}`, next);
  }
  const { State, Name, Architecture, CreationDate = "", DeprecationTime = "", RootDeviceName } = found;
  if (State !== "available" || Architecture !== "x86_64") {
    throw new Problem(`${id} is ${State}, for ${Architecture}; required: available, for x86_64`, next);
  }
  const root = found.BlockDeviceMappings?.find(({ DeviceName }) => DeviceName === RootDeviceName);
  const gib = root?.Ebs?.VolumeSize ?? 0;
  if (gib > rootVolumeGib) {
    throw new Problem(
      `${id} needs a root volume of ${gib} GiB; rootVolumeGib is ${rootVolumeGib}`,
      `set rootVolumeGib to ${gib} or more`,
    );
  }
  const days = Math.floor((Date.now() - Date.parse(CreationDate)) / DAY_MS);
  const seen = `${id}, ${days} days old (${Name})`;
  if (Date.parse(DeprecationTime) < Date.now()) {
    return new Warning(`${seen}, deprecated since ${DeprecationTime}`, "set imageId to a later image");
  }
  return imageId && days > OLD_DAYS ? new Warning(seen, "set imageId to a later image") : seen;
}

/** Whether EC2 has no image of an ID. */
export function isGone(error: unknown): boolean {
  return /^InvalidAMIID/.test((error as Error).name);
}

/** The file that the deployment looks for in a prefix. A denied read is a failure: the deployment would be rejected. */
async function object(
  account: Account,
  setting: string,
  source: string,
  name: string,
  next: string,
): Promise<string> {
  const { bucket, prefix } = parseS3Prefix(source)!;
  const key = `${prefix}/${name}`;
  try {
    await account.headObject(bucket, key);
  } catch (error) {
    const status = (error as { $metadata?: { httpStatusCode?: number } }).$metadata?.httpStatusCode;
    const reason =
      { 403: "access denied, or without s3:ListBucket a missing object", 404: "no such object" }[
        status ?? 0
      ] ?? describeError(error);
    throw new Problem(
      `s3://${bucket}/${key} can't be read: ${reason}`,
      `set ${setting}, grant s3:GetObject and s3:ListBucket on the prefix, or fill it: ${next}`,
    );
  }
  return `s3://${bucket}/${key}`;
}

/** Not reaching the Hub from here is a warning: the instances download the weights, not this computer. */
async function hubFile({ hub, settings: { modelSource } }: Subject): Promise<string | Warning> {
  const [, repository, commit] = /^hf:\/\/([^@]+)@(\w+)$/.exec(modelSource)!;
  const url = `${hub}/${repository}/resolve/${commit}/config.json`;
  let status: number;
  try {
    const reply = await fetch(url, { method: "HEAD", signal: AbortSignal.timeout(FETCH_MS) });
    status = reply.status;
  } catch (error) {
    const cause = (error as Error).cause ?? error;
    return new Warning(
      `${url} can't be reached from here: ${describeError(cause)}`,
      "check that the instances can reach it, or set modelSource to a mirror in S3 (npm run mirror)",
    );
  }
  if (status !== 200) {
    throw new Problem(
      `${url} returned ${status}`,
      "set modelSource to public weights and an existing commit",
    );
  }
  return `${repository}@${commit}`;
}
