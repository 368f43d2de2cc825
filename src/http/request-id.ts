/** The id by which an answer and the lines of the log are found. */

/** Printable ASCII of at most 200 characters. */
const WELL_FORMED = /^[\x20-\x7e]{1,200}$/;

const ids = new WeakMap<Request, string>();

/** A request's id: its own `x-request-id` where that is well-formed, else Cloudflare's, else a new one. Each call gives the same. */
export function requestIdOf(request: Request): string {
  const known = ids.get(request);
  if (known !== undefined) return known;
  const own = request.headers.get("x-request-id") ?? "";
  const id = WELL_FORMED.test(own) ? own : (request.headers.get("cf-ray") ?? crypto.randomUUID());
  ids.set(request, id);
  return id;
}

/** Puts a request's id into the headers of its answer. The upgrade of a socket has none. */
export function withRequestId(request: Request, response: Response): Response {
  if (response.status !== 101) response.headers.set("x-request-id", requestIdOf(request));
  return response;
}
