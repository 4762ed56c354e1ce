import * as pulumi from "@pulumi/pulumi";

/** What an application takes from the embedding stack. No key is among it. */
export interface EmbeddingStack {
  /** Base URL, `https://ADDRESS/v1`. */
  endpoint: string;
  /** PEM of the certificate authority that signed the endpoint's certificate; empty where everybody trusts it. */
  caCertificate: string;
  model: string;
  /** The secret with the client's key. */
  secretArn: string;
}

/**
 * Reads the embedding stack's outputs.
 *
 * @param stack fully qualified, `ORGANIZATION/qwen3-embedding-stack/STACK`
 * @param client whose secret it is; the embedding stack's first client without a name
 * @throws pulumi.RunError that names the stack or the client that is wrong
 */
export async function readEmbeddingStack(stack: string, client?: string): Promise<EmbeddingStack> {
  const reference = new pulumi.StackReference(stack);
  const read = async (name: string) => {
    const { value } = await reference.getOutputDetails(name);
    if (value === undefined) {
      throw new pulumi.RunError(`the stack ${stack} has no output ${name}: deploy it first (embeddingStack)`);
    }
    return value;
  };
  const secretArns = (await read("secretArns")) as Record<string, string>;
  if (client && !Object.hasOwn(secretArns, client)) {
    const names = Object.keys(secretArns).join(", ");
    throw new pulumi.RunError(`client is ${JSON.stringify(client)}; the stack ${stack} has ${names}`);
  }
  return {
    endpoint: (await read("endpoint")) as string,
    caCertificate: (await read("caCertificate")) as string,
    model: (await read("model")) as string,
    secretArn: client ? secretArns[client]! : ((await read("secretArn")) as string),
  };
}
