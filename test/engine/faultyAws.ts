import { createServer, type IncomingMessage, request, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** A proxy in front of the emulator that can fail or delay one action, and release another image. */
export interface FaultyAws {
  url: string;
  /** Requests for this action are refused, or never get a response. undefined passes all requests on. */
  fault: { action: string; kind: "refuse" | "hang" } | undefined;
  /** AWS's latest image, which its public parameter returns. undefined passes the emulator's response on. */
  latestImage: string | undefined;
  /** Number of requests that met the fault. */
  met: number;
  stop: () => Promise<void>;
}

/** Listens on loopback. Requests are passed on unchanged, so that their signatures are valid. */
export async function startFaultyAws(emulator: string): Promise<FaultyAws> {
  const server = createServer((incoming, answer) => {
    const action = String(incoming.headers["x-amz-target"] ?? "").split(".")[1];
    if (action === "GetParameter" && aws.latestImage !== undefined) {
      answer.writeHead(200, { "content-type": "application/x-amz-json-1.1" });
      answer.end(JSON.stringify({ Parameter: { Type: "String", Value: aws.latestImage } }));
      return;
    }
    if (aws.fault === undefined || aws.fault.action !== action) {
      pass(emulator, incoming, answer);
      return;
    }
    aws.met += 1;
    if (aws.fault.kind === "refuse") {
      answer.writeHead(400, { "content-type": "application/x-amz-json-1.1" });
      answer.end(JSON.stringify({ __type: "LimitExceededException", message: "refused by the test" }));
    }
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  const aws: FaultyAws = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    fault: undefined,
    latestImage: undefined,
    met: 0,
    stop: async () => {
      server.closeAllConnections();
      await new Promise((done) => server.close(done));
    },
  };
  return aws;
}

function pass(emulator: string, incoming: IncomingMessage, answer: ServerResponse): void {
  const { method, headers, url } = incoming;
  const onward = request(new URL(emulator), { method, headers, path: url }, (reply) => {
    answer.writeHead(reply.statusCode ?? 502, reply.headers);
    reply.pipe(answer);
  });
  onward.on("error", () => answer.destroy());
  incoming.pipe(onward);
}
