import { type ApiError, ERRORS } from "../contract";

/** The errors that only nginx returns. */
const BAD_REQUEST = badRequest("The request could not be read.");
const PLAIN_HTTP = badRequest("A plain HTTP request was sent to an HTTPS port.");

/** The locations that return the errors, in OpenAI's format. */
export function errorLocations(): string {
  const { notFound, methodNotAllowed, tooLarge, tooManyRequests, unavailable } = ERRORS;
  const message = tooLarge.message.replace("{bytes}", "$qwen3_max_body_bytes");
  return [
    location("@bad_request", BAD_REQUEST),
    location("@plain_http", PLAIN_HTTP),
    location(
      "@unauthorized",
      { ...ERRORS.invalidKey, headers: { "WWW-Authenticate": "$qwen3_challenge" } },
      "$qwen3_refusal",
    ),
    location("@not_found", notFound),
    location("@method_not_allowed", { ...methodNotAllowed, headers: { Allow: "$qwen3_allow" } }),
    location("@too_large", { ...tooLarge, message }),
    location("@too_many", tooManyRequests),
    location("@unavailable", unavailable),
  ].join("\n");
}

/** JSON without a single quote, for use between single quotes. */
export function errorBody({ message, type, code }: ApiError): string {
  return JSON.stringify({ error: { message, type, param: null, code } });
}

function badRequest(message: string): ApiError {
  return { status: 400, type: "invalid_request_error", code: null, message, headers: {} };
}

/** A location that returns an error. Its own add_header lines replace the server's. */
function location(name: string, error: ApiError, body = errorBody(error)): string {
  const headers = {
    "X-Request-Id": "$request_id",
    "X-Content-Type-Options": "nosniff",
    ...error.headers,
  };
  const lines = Object.entries(headers).map(
    ([header, value]) => `            add_header ${header} ${value} always;`,
  );
  return `        location ${name} {
${lines.join("\n")}
            return ${error.status} '${body}';
        }`;
}
