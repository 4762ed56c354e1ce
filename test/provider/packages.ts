import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "../../scripts/lib/paths";

/** The properties of a resource, as listed by its class in the provider's npm package. */
export interface ResourceClass {
  inputs: string[];
  /** Inputs and outputs. */
  properties: string[];
}

const read = new Map<string, ResourceClass | undefined>();

/** The class of a type token such as `aws:ec2/vpc:Vpc`; undefined if the package has none. */
export function resourceClass(token: string): ResourceClass | undefined {
  if (!read.has(token)) {
    read.set(token, readClass(token));
  }
  return read.get(token);
}

function readClass(token: string): ResourceClass | undefined {
  const file = classFile(token);
  if (!file || !existsSync(file)) {
    return undefined;
  }
  const text = readFileSync(file, "utf8");
  if (!text.includes(`__pulumiType = '${token}'`)) {
    return undefined;
  }
  const assignments = [...text.matchAll(/resourceInputs\["(\w+)"\] = (.*);/g)];
  const names = (wanted: (value: string) => boolean) => [
    ...new Set(assignments.filter(([, , value]) => wanted(value!)).map(([, name]) => name!)),
  ];
  return { inputs: names((value) => value.includes("args")), properties: names(() => true) };
}

/** `aws:ec2/vpc:Vpc` is in ec2/vpc.js, `random:index/randomPassword:RandomPassword` in randomPassword.js. */
function classFile(token: string): string | undefined {
  const [provider, module, name] = token.split(":");
  if (!provider || !module || !name || !/^[\w/]+$/.test(module)) {
    return undefined;
  }
  const file = name.charAt(0).toLowerCase() + name.slice(1);
  const path = module.includes("/") ? module.replace(/^index\//, "") : `${module}/${file}`;
  return join(ROOT, "node_modules", "@pulumi", provider, `${path}.js`);
}
