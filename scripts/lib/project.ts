import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";
import { ROOT } from "./paths";

/** The name that Pulumi puts in front of every setting and into every URN: the name in a folder's Pulumi.yaml. */
export function projectName(folder: string = ROOT): string {
  const { name } = parse(readFileSync(join(folder, "Pulumi.yaml"), "utf8")) as { name: string };
  return name;
}
