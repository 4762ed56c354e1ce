import { describeError } from "../lib/text";
import { type Row, Skipped } from "../verify/row";

/** One row: what it checks, and how. */
export interface Check {
  name: string;
  /** IAM actions that it calls, for the row of credentials that may not call them. */
  actions?: string;
  /** Resolves to the evidence, or to why it was skipped or is a warning; rejects with the problem. */
  run(): Promise<string | Skipped | Warning>;
}

/** The deployment succeeds, but there is something to do. */
export class Warning {
  constructor(
    readonly evidence: string,
    readonly next: string,
  ) {}
}

/** The deployment would fail. */
export class Problem extends Error {
  constructor(
    message: string,
    /** What to type or change. */
    readonly next: string,
  ) {
    super(message);
  }
}

const DENIED = new Set([
  ...["AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "AuthorizationError"],
  ...["AuthorizationErrorException", "Forbidden"],
]);

const REJECTED =
  /^(ExpiredToken|ExpiredTokenException|InvalidClientTokenId|UnrecognizedClientException|AuthFailure|InvalidAccessKeyId|SignatureDoesNotMatch|InvalidSignatureException|MissingAuthenticationToken|CredentialsProviderError)$/;

/** AWS does not accept the credentials, or there are none. */
export function isRejected(error: unknown): boolean {
  return REJECTED.test((error as Error).name);
}

/** AWS accepts the credentials, but they do not grant the action. */
export function isDenied(error: unknown): boolean {
  return DENIED.has((error as Error).name);
}

export async function runCheck({ name, actions, run }: Check): Promise<Row> {
  try {
    return toRow(name, await run());
  } catch (error) {
    if (isDenied(error)) {
      const action = /perform: ([\w-]+:\w+)/.exec((error as Error).message)?.[1] ?? actions;
      return { name, ok: null, evidence: `skipped: the role may not call ${action ?? "the action"}` };
    }
    if ((error as { $metadata?: { httpStatusCode?: number } }).$metadata?.httpStatusCode === 501) {
      return {
        name,
        ok: null,
        evidence: `skipped: the endpoint has no such action (${describeError(error)})`,
      };
    }
    const next =
      error instanceof Problem
        ? error.next
        : "check the connection to AWS and the credentials, then run doctor again";
    return { name, ok: false, evidence: describeError(error), next };
  }
}

function toRow(name: string, result: string | Skipped | Warning): Row {
  if (result instanceof Skipped) {
    return { name, ok: null, evidence: result.reason };
  }
  return result instanceof Warning
    ? { name, ok: false, warning: true, evidence: result.evidence, next: result.next }
    : { name, ok: true, evidence: result };
}
