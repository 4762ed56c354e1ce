import { Agent } from "undici";

/**
 * A separate process: unauthenticated requests at a steady rate, half with wrong keys and half without, until it is
 * ended. Its arguments: ORIGIN and REQUESTS per second. It reads the CA from standard input and writes the number of
 * responses by status to standard output, one line per second.
 */
async function main(origin: string, perSecond: number): Promise<void> {
  const ca = await new Response(process.stdin as unknown as ReadableStream).text();
  const agent = new Agent({ connect: { ca }, connections: 32, allowH2: false });
  const counts = new Map<number, number>();
  let sent = 0;
  const begin = performance.now();
  setInterval(() => {
    console.log(JSON.stringify(Object.fromEntries(counts)));
  }, 1000);
  setInterval(() => {
    for (const due = ((performance.now() - begin) / 1000) * perSecond; sent < due; sent += 1) {
      const headers = sent % 2 === 0 ? { authorization: `Bearer wrong-${sent}-${"x".repeat(40)}` } : {};
      agent
        .request({ origin, path: "/v1/models", method: "GET", headers })
        .then(async ({ statusCode, body }) => {
          await body.dump();
          counts.set(statusCode, (counts.get(statusCode) ?? 0) + 1);
        })
        .catch(() => counts.set(0, (counts.get(0) ?? 0) + 1));
    }
  }, 20);
}

main(process.argv[2]!, Number(process.argv[3]));
