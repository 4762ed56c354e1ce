import { randomUUID } from "node:crypto";
import { createServer, type Server } from "node:http";
import { close, listen } from "../../loopback";

export interface Invocation {
  Status: string;
  StandardOutputContent: string;
  StandardErrorContent: string;
}

interface AwsInput {
  SecretId?: string;
  InstanceIds?: string[];
  InstanceId?: string;
  CommandId?: string;
  Parameters?: { commands: string[] };
}

/** An instance of an Auto Scaling group. */
export interface FakeInstance {
  id: string;
  state: string;
  health: string;
  version: string;
}

/** An Auto Scaling group at one point in time. */
export interface FakeGroup {
  desired: number;
  version: string;
  instances: FakeInstance[];
  refresh?: { status: string; percent?: number; reason?: string; version?: string };
  /** Scaling activities, newest first. */
  activities?: FakeActivity[];
  /** The action whose response is the last one of this state; by default DescribeInstanceRefreshes. */
  until?: string;
}

/** The launch template of every group. */
export const TEMPLATE = "lt-0123456789abcdef0";

/** A scaling activity that began just now. */
export interface FakeActivity {
  status: string;
  message: string;
}

const EC2_ACTIONS = new Set([
  "AssociateAddress",
  "DescribeAddresses",
  "DescribeInstances",
  "TerminateInstances",
]);

/**
 * Secrets Manager and Systems Manager over AWS's JSON protocol, Auto Scaling over its query protocol and EC2 over its own,
 * as far as the scripts call them.
 */
export class FakeAws {
  /** By ARN. */
  secrets: Record<string, string> = {};
  /** Returns this error for an action, once per entry. */
  errors: { action: string; type: string; message?: string }[] = [];
  /** The responses of GetCommandInvocation, in order. The last one is repeated. */
  invocations: Invocation[] = [];
  /** Commands that were sent to instances. */
  commands: { instanceId: string; command: string }[] = [];
  /** The response to a command on an instance, in place of `invocations`. */
  respond?: (instanceId: string, command: string) => Invocation;
  /** States of EC2 instances by ID; the last one was launched last. */
  states: Record<string, string> = {};
  /** IDs of the instances that have an Elastic IP address, by allocation ID. */
  holders: Record<string, string | undefined> = {};
  /** Auto Scaling groups by name: the states that consecutive calls return. The last one is repeated. */
  groups: Record<string, FakeGroup[]> = {};
  /** By version of the launch template: its image. */
  templates: Record<string, string> = {};
  /** The latest version of the launch template. */
  latestTemplate = 2;
  /** Called before a request to Auto Scaling or EC2 is answered. */
  onRequest: ((request: Record<string, string>) => void) | undefined;
  /** The requests to Auto Scaling and EC2. */
  requests: Record<string, string>[] = [];
  /** Commands by ID. */
  readonly #sent = new Map<string, string>();
  readonly #server: Server;

  constructor() {
    this.#server = createServer((request, reply) => {
      let text = "";
      request.setEncoding("utf8").on("data", (part) => {
        text += part;
      });
      request.on("end", () => {
        if (request.headers["content-type"]?.startsWith("application/x-www-form-urlencoded")) {
          const [status, body] = this.#query(new URLSearchParams(text));
          reply.writeHead(status, { "content-type": "text/xml" }).end(body);
          return;
        }
        const action = String(request.headers["x-amz-target"]).split(".")[1] ?? "";
        const [status, body] = this.#call(action, JSON.parse(text));
        reply.writeHead(status, { "content-type": "application/x-amz-json-1.1" }).end(JSON.stringify(body));
      });
    });
  }

  async listen(): Promise<string> {
    return `http://127.0.0.1:${await listen(this.#server)}`;
  }

  close(): Promise<void> {
    return close(this.#server);
  }

  #query(asked: URLSearchParams): [number, string] {
    const action = asked.get("Action") ?? "";
    const error = this.errors.find((candidate) => candidate.action === action);
    if (error && EC2_ACTIONS.has(action)) {
      const code = `<Code>${error.type}</Code><Message>${error.message ?? error.type}</Message>`;
      return [403, `<Response><Errors><Error>${code}</Error></Errors></Response>`];
    }
    if (error) {
      return [
        403,
        `<ErrorResponse><Error><Code>${error.type}</Code><Message>${error.message ?? error.type}</Message></Error></ErrorResponse>`,
      ];
    }
    const ec2 = this.#ec2(action, asked);
    if (ec2 !== undefined) {
      return [200, `<${action}Response>${ec2}</${action}Response>`];
    }
    const name = asked.get("AutoScalingGroupNames.member.1") ?? asked.get("AutoScalingGroupName") ?? "";
    const group = this.groups[name]?.[0];
    this.requests.push(Object.fromEntries(asked));
    this.onRequest?.(Object.fromEntries(asked));
    if (action === "DescribeLaunchTemplates") {
      return [
        200,
        `<DescribeLaunchTemplatesResponse><launchTemplates><item><latestVersionNumber>${this.latestTemplate}</latestVersionNumber></item></launchTemplates></DescribeLaunchTemplatesResponse>`,
      ];
    }
    if (action === "DescribeLaunchTemplateVersions") {
      return [200, templatesXml(asked, this.templates)];
    }
    const result = queryResult(action, name, group);
    const { until = "DescribeInstanceRefreshes" } = group ?? {};
    if (action === until && (this.groups[name]?.length ?? 0) > 1) {
      this.groups[name]?.shift();
    }
    return [200, `<${action}Response><${action}Result>${result}</${action}Result></${action}Response>`];
  }

  #ec2(action: string, asked: URLSearchParams): string | undefined {
    const id = asked.get("InstanceId.1") ?? "";
    switch (action) {
      case "DescribeAddresses": {
        const holder = this.holders[asked.get("AllocationId.1") ?? ""];
        const instance = holder === undefined ? "" : `<instanceId>${holder}</instanceId>`;
        return `<addressesSet><item>${instance}</item></addressesSet>`;
      }
      case "DescribeInstances": {
        const state = this.states[id];
        const launched = new Date(Object.keys(this.states).indexOf(id) * 60_000).toISOString();
        const item = `<instanceId>${id}</instanceId><instanceState><name>${state}</name></instanceState><launchTime>${launched}</launchTime>`;
        const set = `<item><instancesSet><item>${item}</item></instancesSet></item>`;
        return `<reservationSet>${state === undefined ? "" : set}</reservationSet>`;
      }
      case "AssociateAddress":
        this.holders[asked.get("AllocationId") ?? ""] = asked.get("InstanceId") ?? "";
        return "<associationId>eipassoc-1</associationId>";
      case "TerminateInstances":
        this.states[id] = "terminated";
        return `<instancesSet><item><instanceId>${id}</instanceId></item></instancesSet>`;
      default:
        return undefined;
    }
  }

  #call(action: string, input: AwsInput): [number, object] {
    const error = this.errors.find((candidate) => candidate.action === action);
    if (error) {
      this.errors.splice(this.errors.indexOf(error), 1);
      return [400, { __type: error.type, message: error.message ?? error.type }];
    }
    switch (action) {
      case "GetSecretValue": {
        const SecretString = this.secrets[input.SecretId ?? ""];
        return SecretString === undefined
          ? [400, { __type: "ResourceNotFoundException", message: "no such secret" }]
          : [200, { ARN: input.SecretId, SecretString, VersionStages: ["AWSCURRENT"] }];
      }
      case "SendCommand": {
        const [instanceId = ""] = input.InstanceIds ?? [];
        this.commands.push({ instanceId, command: (input.Parameters?.commands ?? []).join("\n") });
        const CommandId = randomUUID();
        this.#sent.set(CommandId, this.commands.at(-1)!.command);
        return [200, { Command: { CommandId } }];
      }
      case "GetCommandInvocation": {
        const own = this.respond?.(input.InstanceId ?? "", this.#sent.get(input.CommandId ?? "") ?? "");
        if (own) {
          return [200, own];
        }
        const next = this.invocations.length > 1 ? this.invocations.shift() : this.invocations[0];
        return [200, { ...next }];
      }
      default:
        return [400, { __type: "UnknownOperationException", message: action }];
    }
  }
}

/** EC2's format, which has no element for the result. */
function templatesXml(asked: URLSearchParams, images: Record<string, string>): string {
  const items = [...asked]
    .filter(([name]) => name.startsWith("LaunchTemplateVersion."))
    .map(
      ([, version]) =>
        `<item><versionNumber>${version}</versionNumber><launchTemplateData><imageId>${images[version]}</imageId></launchTemplateData></item>`,
    );
  return `<DescribeLaunchTemplateVersionsResponse><launchTemplateVersionSet>${items.join("")}</launchTemplateVersionSet></DescribeLaunchTemplateVersionsResponse>`;
}

function queryResult(action: string, name: string, group: FakeGroup | undefined): string {
  switch (action) {
    case "DescribeAutoScalingGroups":
      return `<AutoScalingGroups>${group ? groupXml(name, group) : ""}</AutoScalingGroups>`;
    case "DescribeScalingActivities":
      return `<Activities>${(group?.activities ?? []).map(activityXml).join("")}</Activities>`;
    case "StartInstanceRefresh":
      return "<InstanceRefreshId>1</InstanceRefreshId>";
    default:
      return `<InstanceRefreshes>${group?.refresh ? refreshXml(name, group.refresh) : ""}</InstanceRefreshes>`;
  }
}

function activityXml({ status, message }: FakeActivity): string {
  return `<member><StatusCode>${status}</StatusCode><StatusMessage>${message}</StatusMessage><StartTime>${new Date().toISOString()}</StartTime></member>`;
}

function groupXml(name: string, { desired, version, instances }: FakeGroup): string {
  const template = (of: string) =>
    `<LaunchTemplate><LaunchTemplateId>${TEMPLATE}</LaunchTemplateId><Version>${of}</Version></LaunchTemplate>`;
  const members = instances.map(
    ({ id, state, health, version: of }) =>
      `<member><InstanceId>${id}</InstanceId><LifecycleState>${state}</LifecycleState><HealthStatus>${health}</HealthStatus>${template(of)}</member>`,
  );
  return `<member><AutoScalingGroupName>${name}</AutoScalingGroupName><DesiredCapacity>${desired}</DesiredCapacity>${template(version)}<DefaultInstanceWarmup>60</DefaultInstanceWarmup><InstanceMaintenancePolicy><MinHealthyPercentage>100</MinHealthyPercentage><MaxHealthyPercentage>150</MaxHealthyPercentage></InstanceMaintenancePolicy><Instances>${members.join("")}</Instances></member>`;
}

function refreshXml(
  name: string,
  { status, percent = 0, reason = "", version = "2" }: NonNullable<FakeGroup["refresh"]>,
): string {
  return `<member><AutoScalingGroupName>${name}</AutoScalingGroupName><Status>${status}</Status><PercentageComplete>${percent}</PercentageComplete><StatusReason>${reason}</StatusReason><DesiredConfiguration><LaunchTemplate><LaunchTemplateId>${TEMPLATE}</LaunchTemplateId><Version>${version}</Version></LaunchTemplate></DesiredConfiguration></member>`;
}
