import type { Account } from "./account";
import { ownInstances } from "./capacity";
import { type Check, Warning } from "./check";
import type { Subject } from "./subject";

/**
 * What has this stack's name already. Names of secrets and buckets end in a random suffix, so none of it prevents a
 * deployment; it is what an earlier stack of the name left.
 */
export function nameChecks(account: Account, subject: Subject): Check[] {
  return [
    {
      name: "deleted secrets",
      actions: "secretsmanager:ListSecrets",
      run: () => deletedSecrets(account, subject),
    },
    {
      name: "bucket",
      actions: "s3:ListAllMyBuckets or ec2:DescribeInstances",
      run: () => bucket(account, subject),
    },
  ];
}

async function deletedSecrets(account: Account, { name, region }: Subject): Promise<string | Warning> {
  const found = await account.deletedSecrets(`${name}-`);
  if (found.length === 0) {
    return `none of ${name}-… is scheduled for deletion`;
  }
  const names = found.map(({ Name = "" }) => Name);
  return new Warning(
    `scheduled for deletion: ${names.join(", ")}; a new stack gets new names, and new keys`,
    `to keep an old key: aws secretsmanager restore-secret --secret-id ${names[0]} --region ${region}`,
  );
}

/** The provider's suffix of a bucket's name. Without it, the buckets of a stack NAME-eu would be those of the stack NAME. */
const BUCKET_SUFFIX = /^-[0-9a-f]{26}$/;

async function bucket(account: Account, subject: Subject): Promise<string | Warning> {
  const all = await account.buckets(`${subject.name}-`);
  const found = all.filter((name) => BUCKET_SUFFIX.test(name.slice(subject.name.length)));
  if (found.length === 0) {
    return `no ${subject.name}-… exists; the stack creates one`;
  }
  return (await ownInstances(account, subject)).length > 0
    ? `${found.join(", ")}; instances of this stack are running`
    : new Warning(
        `${found.join(", ")} exists, but no instance of this stack is running`,
        "its instances may be stopped: npx pulumi stack ls shows whether the stack exists. If it does not, an earlier one left " +
          `the bucket: aws s3 rb --force s3://${found[0]}`,
      );
}
