import { PolicyPack } from "@pulumi/policy";
import { policies } from "./policies";

/** `pulumi preview --policy-pack policy`, and the same for `up`: a broken promise stops the update. */
new PolicyPack("qwen3-embedding-stack", { enforcementLevel: "mandatory", policies });
