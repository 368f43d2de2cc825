/**
 * Cross-origin resource sharing: tells a browser which pages may read the answers. The headers are those of Starlette's
 * middleware, which the original uses.
 */
import type { Settings } from "#env";
import { isAllowedOrigin } from "#http/origins";

const ALL_METHODS = ["DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY"];
/** Headers that a page may always send. */
const SAFE_HEADERS = ["Accept", "Accept-Language", "Content-Language", "Content-Type"];
const MAX_AGE_SECONDS = "600";
const PREFLIGHT_VARY =
  "Origin, Access-Control-Request-Method, Access-Control-Request-Headers, Access-Control-Request-Private-Network";

/** The answer to a browser that asks whether it may send a request; null where the request is no such question. */
export function preflight({ method, headers }: Request, settings: Settings): Response | null {
  const origin = headers.get("origin");
  const wantedMethod = headers.get("access-control-request-method");
  if (method !== "OPTIONS" || origin === null || wantedMethod === null) return null;
  const { cors } = settings;
  const answer = new Headers({ "content-type": "text/plain; charset=utf-8", vary: PREFLIGHT_VARY });
  const failures: string[] = [];
  if (!isAllowedOrigin(origin, settings)) failures.push("origin");
  else answer.set("access-control-allow-origin", cors.origins.includes("*") ? "*" : origin);

  const methods = cors.methods.includes("*") ? ALL_METHODS : cors.methods;
  answer.set("access-control-allow-methods", methods.join(", "));
  answer.set("access-control-max-age", MAX_AGE_SECONDS);
  if (!methods.includes(wantedMethod)) failures.push("method");

  const wantedHeaders = headers.get("access-control-request-headers");
  const known = [...new Set([...SAFE_HEADERS, ...cors.headers])].toSorted();
  if (!cors.headers.includes("*")) {
    answer.set("access-control-allow-headers", known.join(", "));
    if (wantedHeaders !== null && !areAllKnown(wantedHeaders, known)) failures.push("headers");
  } else if (wantedHeaders !== null) answer.set("access-control-allow-headers", wantedHeaders);

  // A page of the internet that asks for a server of a private network.
  if (headers.has("access-control-request-private-network")) failures.push("private-network");
  return failures.length === 0
    ? new Response("OK", { headers: answer })
    : new Response(`Disallowed CORS ${failures.join(", ")}`, { status: 400, headers: answer });
}

function areAllKnown(wanted: string, known: readonly string[]): boolean {
  const names = new Set(known.map((name) => name.toLowerCase()));
  return wanted.split(",").every((name) => names.has(name.trim().toLowerCase()));
}

/** Tells a browser, in the headers of an answer, whether a page of this origin may read it. A socket is no such answer. */
export function shareWith(origin: string | null, response: Response, settings: Settings): Response {
  if (response.status === 101) return response;
  const isForAll = settings.cors.origins.includes("*");
  if (origin !== null && isAllowedOrigin(origin, settings))
    response.headers.set("access-control-allow-origin", isForAll ? "*" : origin);
  response.headers.append("vary", "Origin");
  return response;
}
