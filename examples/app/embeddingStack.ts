import * as pulumi from "@pulumi/pulumi";

/** The outputs of the embedding stack that an application uses. They contain no key. */
export interface EmbeddingStack {
  /** Base URL, `https://ADDRESS/v1`. */
  endpoint: string;
  /** PEM of the certificate authorities that can sign the endpoint's certificate; empty if the authority is public. */
  caCertificate: string;
  model: string;
  /** ARN of the secret with the client's key. */
  secretArn: string;
}

/**
 * Reads the embedding stack's outputs.
 *
 * @param stack fully qualified, `ORGANIZATION/qwen3-embedding-stack/STACK`
 * @param client the client whose secret to use; the embedding stack's first client by default
 * @throws pulumi.RunError that names the wrong stack or client
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
