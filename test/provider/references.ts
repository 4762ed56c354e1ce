import { createHash } from "node:crypto";
import { type AttributeType, type Block, camel } from "./schema";

/**
 * Outputs that only AWS knows are recorded as tokens, which the program joins, cuts and passes on like the values that
 * they represent. Afterwards each token becomes a reference again, wherever it ended up.
 */

export interface Reference {
  token: string;
  /** Terraform's expression, without `${}`. */
  expression: string;
}

const PATTERN = /(?:arn:aws:[a-z0-9-]*:[a-z0-9-]*:\d*:)?zz[0-9a-f]{12}zz\d+zz/g;

/** Makes the tokens of one resource and stores their expressions. */
export class Tokens {
  readonly references: Reference[] = [];
  private readonly id: string;

  /**
   * @param owner a name that no other resource has
   * @param service for ARNs, such as `ec2`
   */
  constructor(
    owner: string,
    private readonly service = "",
  ) {
    this.id = createHash("sha256").update(owner).digest("hex").slice(0, 12);
  }

  /** A token for an expression. A token for an ARN has the format of an ARN, because programs parse ARNs. */
  make(expression: string): string {
    const plain = `zz${this.id}zz${this.references.length}zz`;
    const isArn = /[._]arn$/.test(expression);
    const token = isArn ? `arn:aws:${this.service}:us-east-1:123456789012:${plain}` : plain;
    this.references.push({ token, expression });
    return token;
  }
}

/**
 * Values for everything that a block computes, by Pulumi's names: tokens, and lists of one element with tokens inside.
 *
 * @param address Terraform's address of the resource, such as `aws_vpc.name`
 */
export function computedValues(block: Block, address: string, tokens: Tokens): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(block.attributes ?? {})
      .filter(([, { computed }]) => computed === true)
      .map(([name, { type }]) => [camel(name), tokenFor(type ?? "dynamic", `${address}.${name}`, tokens)])
      .filter(([, value]) => value !== undefined),
  );
}

function tokenFor(type: AttributeType, expression: string, tokens: Tokens): unknown {
  if (typeof type === "string") {
    return tokens.make(expression);
  }
  switch (type[0]) {
    case "object":
      return Object.fromEntries(
        Object.entries(type[1]).map(([name, inner]) => [
          camel(name),
          tokenFor(inner, `${expression}.${name}`, tokens),
        ]),
      );
    case "map":
      return undefined;
    case "set":
      return [tokenFor(type[1], `tolist(${expression})[0]`, tokens)];
    case "list":
      return [tokenFor(type[1], `${expression}[0]`, tokens)];
  }
}

/**
 * A text in Terraform's syntax: its own `${` and `%{` are escaped, and tokens become references. A base64 text that
 * contains tokens, such as a launch template's user data, becomes a call of `base64encode`.
 *
 * @param references expressions by token
 */
export function withReferences(text: string, references: Map<string, string>): string {
  const decoded = fromBase64(text);
  if (decoded && decoded.search(PATTERN) >= 0) {
    return `\${base64encode(${quoted(withReferences(decoded, references))})}`;
  }
  const literal = text.replace(/\$\{/g, "$$$${").replace(/%\{/g, "%%{");
  return literal.replace(PATTERN, (token) => {
    const expression = references.get(token);
    if (!expression) {
      throw new Error(`there is no expression for ${token}`);
    }
    return `\${${expression}}`;
  });
}

function fromBase64(text: string): string | undefined {
  if (text.length < 24 || !/^[A-Za-z0-9+/]+={0,2}$/.test(text)) {
    return undefined;
  }
  const bytes = Buffer.from(text, "base64");
  return bytes.toString("base64") === text ? bytes.toString("utf8") : undefined;
}

/** HCL's quoted string. References contain no quotation marks, so all quotation marks are the text's own. */
function quoted(template: string): string {
  const escaped = template.replace(/\\/g, "\\\\").replace(/"/g, '\\"');
  return `"${escaped.replace(/\n/g, "\\n").replace(/\r/g, "\\r").replace(/\t/g, "\\t")}"`;
}
