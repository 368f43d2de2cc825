/** The only error type that a client may read, and the named functions that make it. */

/**
 * A fault of the request that the client may read. `body` is the whole reply: `{"detail": …}` on most routes of the
 * original, `{"exception_message": …}` on some.
 */
export class ApiError extends Error {
  readonly status: number;
  readonly body: unknown;
  readonly headers: Record<string, string>;

  constructor(status: number, body: unknown, headers: Record<string, string> = {}) {
    super(typeof body === "string" ? body : JSON.stringify(body));
    this.status = status;
    this.body = body;
    this.headers = headers;
  }
}

/** An error with a plain `detail`, the form of most of the original's refusals. */
export function refused(status: number, detail: unknown, headers: Record<string, string> = {}): ApiError {
  return new ApiError(status, { detail }, headers);
}

/** 404 that names what was not found: `notFound("Flow run")` → `{"detail":"Flow run not found"}`. */
export function notFound(what: string): ApiError {
  return refused(404, `${what} not found`);
}

/** Prefect: 404 of the routes that raise ObjectNotFoundError (set_state, graph, automations). */
export function missingObject(message: string): ApiError {
  return new ApiError(404, { exception_message: message });
}

/** 409: the stored data does not allow the request. */
export function conflict(detail: unknown): ApiError {
  return refused(409, detail);
}

/** Prefect: a unique or foreign key would be violated. */
export function integrityConflict(): ApiError {
  return conflict(
    "Data integrity conflict. This usually means a unique or foreign key constraint was violated. See server logs for details.",
  );
}

/** 422 with a plain detail. A failed schema has another form, see `http/errors.ts`. */
export function unprocessable(detail: unknown): ApiError {
  return refused(422, detail);
}

/** 503 with `Retry-After`. Prefect's client sends the request again. */
export function unavailable(message: string, retryAfterSeconds: number): ApiError {
  return new ApiError(503, { exception_message: message }, { "Retry-After": String(retryAfterSeconds) });
}
