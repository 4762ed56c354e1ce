import type { Image } from "@aws-sdk/client-ec2";
import { AMI_PARAMETER } from "../../components/compute/image";
import type { Account } from "../doctor/account";
import { isGone } from "../doctor/sources";

const DAY_MS = 24 * 3600 * 1000;

/** One AMI. */
export interface Release {
  id: string;
  name: string;
  created: Date;
  /** From when AWS no longer lists it for new users. */
  deprecated?: Date;
}

/** A stack's AMI, next to what AWS has released. */
export interface Survey {
  /** ID of the stack's AMI. */
  id: string;
  /** Undefined if AWS no longer has it, so that no instance can start from it. */
  current?: Release;
  latest: Release;
  /** AWS's releases after the stack's AMI was created, oldest first. */
  newer: Release[];
}

/** @throws Error if AWS's latest AMI cannot be read */
export async function survey(account: Account, id: string): Promise<Survey> {
  const latestId = await account.parameter(AMI_PARAMETER);
  const [found, latestFound] = await Promise.all([findImage(account, id), findImage(account, latestId)]);
  if (latestFound === undefined) {
    throw new Error(`EC2 has no ${latestId}, which ${AMI_PARAMETER} names as AWS's latest image`);
  }
  const latest = release(latestFound);
  const current = found && release(found);
  const newer = current
    ? [...(await releasesLike(account, latestFound)), latest].filter(
        ({ created }) => created > current.created,
      )
    : [latest];
  const unique = [...new Map(newer.map((each) => [each.id, each])).values()];
  return { id, current, latest, newer: unique.sort((a, b) => Number(a.created) - Number(b.created)) };
}

/** Why the image should be replaced: one sentence each. */
export function problemsOf({ id, current, newer }: Survey, maxAgeDays: number, now = new Date()): string[] {
  if (!current) {
    return [`AWS no longer has ${id}: an instance that is replaced, or added to a fleet, cannot start`];
  }
  const days = ageDays(current, now);
  return [
    ...(current.deprecated && current.deprecated <= now
      ? [`${id} is deprecated since ${day(current.deprecated)}: AWS may withdraw it`]
      : []),
    ...(days > maxAgeDays && newer.length > 0
      ? [`${id} is ${days} days old, more than ${maxAgeDays}, and AWS has released ${newer.length} since`]
      : []),
  ];
}

export function ageDays({ created }: Release, now = new Date()): number {
  return Math.floor((now.getTime() - created.getTime()) / DAY_MS);
}

/** As `2026-11-28`. */
export function day(date: Date): string {
  return date.toISOString().slice(0, 10);
}

async function findImage(account: Account, id: string): Promise<Image | undefined> {
  try {
    return await account.image(id);
  } catch (error) {
    if (isGone(error)) {
      return undefined;
    }
    throw error;
  }
}

/** The releases of the same name, which ends in a date or a version. */
async function releasesLike(account: Account, { Name = "", OwnerId }: Image): Promise<Release[]> {
  const family = Name.replace(/[\d.]+$/, "");
  return OwnerId && family !== Name ? (await account.imagesNamed(OwnerId, `${family}*`)).map(release) : [];
}

function release({ ImageId = "", Name = "", CreationDate = "", DeprecationTime }: Image): Release {
  return {
    id: ImageId,
    name: Name,
    created: new Date(CreationDate),
    ...(DeprecationTime && { deprecated: new Date(DeprecationTime) }),
  };
}
