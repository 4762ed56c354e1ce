import { describeError } from "../lib/text";
import { Skipped } from "../verify/row";
import type { Account } from "./account";
import { type Check, isRejected, Problem, Warning } from "./check";
import type { Subject } from "./subject";

/** AWS rejects signatures that are older or newer than this. */
const MOST_SKEW_SECONDS = 300;
/** A clock that is synchronised is far closer. */
const SUSPICIOUS_SKEW_SECONDS = 60;

/** Whether AWS accepts the credentials at all; the other rows need that. */
export function credentialsCheck(account: Account, { access }: Subject): Check {
  return {
    name: "credentials",
    actions: "sts:GetCallerIdentity",
    run: async () => {
      try {
        const caller = await account.caller();
        return caller.arn.endsWith(":root")
          ? new Warning(
              `${caller.arn}, the root user of account ${caller.account}`,
              "sign in as a role with docs/reference/deployer-policy.json",
            )
          : `${caller.arn}, account ${caller.account}`;
      } catch (error) {
        const next = isRejected(error)
          ? `sign in, for example with aws sso login${access.profile ? ` --profile ${access.profile}` : " and set AWS_PROFILE, or aws:profile in the stack"}`
          : "check the connection to AWS, then run doctor again";
        throw new Problem(describeError(error), next);
      }
    },
  };
}

/** Runs after {@link credentialsCheck}, whose response has AWS's time, even if it is a rejection. */
export function clockCheck(account: Account): Check {
  return {
    name: "clock",
    run: async () => {
      if (account.time === undefined) {
        return new Skipped("skipped: AWS did not respond");
      }
      const skew = Math.round((Date.now() - account.time) / 1000);
      const seen = `${Math.abs(skew)} s ${skew < 0 ? "behind" : "ahead of"} AWS's`;
      const next = "set this computer's clock, for example with timedatectl set-ntp true";
      if (Math.abs(skew) > MOST_SKEW_SECONDS) {
        throw new Problem(`${seen}; AWS rejects signatures from ${MOST_SKEW_SECONDS} s on`, next);
      }
      return Math.abs(skew) > SUSPICIOUS_SKEW_SECONDS ? new Warning(seen, next) : seen;
    },
  };
}

export function regionCheck(account: Account, { region }: Subject): Check {
  return {
    name: "region",
    actions: "ec2:DescribeRegions",
    run: async () => {
      const status = await account.optInStatus(region);
      if (status === undefined || status === "not-opted-in") {
        throw new Problem(
          `${region} is not enabled in this account (${status ?? "unknown to EC2"})`,
          `aws account enable-region --region-name ${region}, or set aws:region`,
        );
      }
      return `${region}, ${status}`;
    },
  };
}
