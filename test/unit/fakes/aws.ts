import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";

export interface Invocation {
  Status: string;
  StandardOutputContent: string;
  StandardErrorContent: string;
}

interface AwsInput {
  SecretId?: string;
  InstanceIds?: string[];
  Parameters?: { commands: string[] };
}

/** Secrets Manager and Systems Manager, as far as the scripts call them, over AWS's JSON protocol. */
export class FakeAws {
  /** By ARN. */
  secrets: Record<string, string> = {};
  /** Refuses an action with this error, as often as it is listed. */
  errors: { action: string; type: string; message?: string }[] = [];
  /** What GetCommandInvocation answers, one after the other; the last one stays. */
  invocations: Invocation[] = [];
  /** Commands that were sent to machines. */
  commands: { instanceId: string; command: string }[] = [];
  readonly #server: Server;

  constructor() {
    this.#server = createServer((request, reply) => {
      let text = "";
      request.setEncoding("utf8").on("data", (part) => {
        text += part;
      });
      request.on("end", () => {
        const action = String(request.headers["x-amz-target"]).split(".")[1] ?? "";
        const [status, body] = this.#call(action, JSON.parse(text));
        reply.writeHead(status, { "content-type": "application/x-amz-json-1.1" }).end(JSON.stringify(body));
      });
    });
  }

  async listen(): Promise<string> {
    await new Promise<void>((done) => this.#server.listen(0, "127.0.0.1", done));
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  close(): Promise<void> {
    this.#server.closeAllConnections();
    return new Promise((done) => this.#server.close(() => done()));
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
        return [200, { Command: { CommandId: "11111111-2222-3333-4444-555555555555" } }];
      }
      case "GetCommandInvocation": {
        const next = this.invocations.length > 1 ? this.invocations.shift() : this.invocations[0];
        return [200, { ...next }];
      }
      default:
        return [400, { __type: "UnknownOperationException", message: action }];
    }
  }
}
