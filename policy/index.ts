import { PolicyPack } from "@pulumi/policy";
import { policies } from "./policies";

/** Used with `pulumi preview --policy-pack policy`, and the same for `up`. A violation stops the update. */
new PolicyPack("qwen3-embedding-stack", { enforcementLevel: "mandatory", policies });
