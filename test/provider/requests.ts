import { DEPLOYER } from "./emulator";

/** Credentials that the emulator does not check. */
const ADMINISTRATOR = { accessKeyId: "AKIALOCALADMINISTRATOR" };

/** API versions of the services with AWS's query protocol. */
const QUERY: Record<string, string> = {
  autoscaling: "2011-01-01",
  ec2: "2016-11-15",
  elasticloadbalancing: "2015-12-01",
  iam: "2010-05-08",
};

/** Targets of the services with AWS's JSON protocol. */
const JSON_TARGETS: Record<string, string> = {
  budgets: "AWSBudgetServiceGateway",
  secretsmanager: "secretsmanager",
  ssm: "AmazonSSM",
};

export interface Answer {
  status: number;
  text: string;
}

/**
 * A request: an operation such as `ec2:RunInstances`, with parameters as its service's protocol writes them. For services
 * with a REST protocol, `method` (POST by default), `path` and `body` are those of HTTP.
 */
export type Send = (operation: string, parameters: Record<string, unknown>) => Promise<Answer>;

/** Sends requests as the deployer, or as an administrator who sets the scene. */
export function sender(url: string, as: "deployer" | "administrator"): Send {
  const { accessKeyId } = as === "deployer" ? DEPLOYER : ADMINISTRATOR;
  return async (operation, parameters) => {
    const [service, name] = operation.split(":") as [string, string];
    const method = (parameters.method as string | undefined) ?? "POST";
    const response = await fetch(`${url}${(parameters.path as string | undefined) ?? "/"}`, {
      method,
      headers: {
        // The emulator reads who it is, and the service, and does not check the signature.
        authorization: `AWS4-HMAC-SHA256 Credential=${accessKeyId}/20260101/us-east-1/${service}/aws4_request, SignedHeaders=host, Signature=0`,
        ...headers(service, name),
      },
      body: method === "GET" ? undefined : body(service, name, parameters),
    });
    return { status: response.status, text: await response.text() };
  };
}

function headers(service: string, name: string): Record<string, string> {
  if (service in JSON_TARGETS) {
    return {
      "content-type": "application/x-amz-json-1.1",
      "x-amz-target": `${JSON_TARGETS[service]}.${name}`,
    };
  }
  const types: Record<string, string> = { route53: "application/xml", scheduler: "application/json" };
  return { "content-type": types[service] ?? "application/x-www-form-urlencoded" };
}

function body(
  service: string,
  name: string,
  { method, path, body, ...parameters }: Record<string, unknown>,
): string {
  if (service in QUERY) {
    const fields = { Action: name, Version: QUERY[service]!, ...parameters } as Record<string, string>;
    return new URLSearchParams(fields).toString();
  }
  return typeof body === "string" ? body : JSON.stringify(parameters);
}

/** The first value of an element in an answer in XML. */
export function element(answer: Answer, name: string): string {
  const found = new RegExp(`<${name}>([^<]+)</${name}>`).exec(answer.text)?.[1];
  if (!found) {
    throw new Error(`no ${name} in the answer, status ${answer.status}:\n${answer.text.slice(0, 500)}`);
  }
  return found;
}

/** Parameters of EC2's query protocol that create a resource with the tags of a stack. */
export function tagged(kind: string, stack = "qwen3-embedding-test"): Record<string, string> {
  return {
    "TagSpecification.1.ResourceType": kind,
    "TagSpecification.1.Tag.1.Key": "qwen3-embedding-stack",
    "TagSpecification.1.Tag.1.Value": stack,
  };
}
