/**
 * Refuses requests from pages of other sites, before the key is checked, and sets the CORS headers of responses. A local server needs
 * no key. The server distinguishes such pages from the user's programs by the host name, the page's origin and the content type.
 */
import type { Settings } from "#env";
import { JSON_TYPE } from "#http/body";
import { refused } from "#lib/api-error";

const READING = new Set(["GET", "HEAD", "OPTIONS"]);

/** Throws 403 or 415 for a request from another site's page, and 403 for a foreign host name. Programs send no `Origin`. */
export function checkSite(request: Request, url: URL, settings: Settings): void {
  if (settings.local) checkName(url, settings);
  const isSocket = request.headers.get("upgrade")?.toLowerCase() === "websocket";
  if (!isSocket && READING.has(request.method)) return;
  const page = pageOf(request.headers);
  if (page === null) return;
  if (page !== "same-origin") checkOrigin(page, url, settings);
  if (!isSocket) checkType(request);
}

/** Stops DNS rebinding: a foreign page's host name resolves to this machine, and the page calls the server by it. */
function checkName({ hostname }: URL, { allowedHosts }: Settings): void {
  if (isLoopbackName(hostname) || allowedHosts.includes(hostname)) return;
  throw refused(
    403,
    `This local server is called ${shown(hostname)}, and answers to names of this machine alone, as localhost and 127.0.0.1.` +
      " SLUICE_ALLOWED_HOSTS lists other names.",
  );
}

/** The origin of the page that sent the request. Null if the sender is not a browser. */
function pageOf(headers: Headers): string | null {
  const site = headers.get("sec-fetch-site");
  return headers.get("origin") ?? (site === "cross-site" || site === "same-site" ? "null" : site && "same-origin");
}

function checkOrigin(origin: string, url: URL, settings: Settings): void {
  if (isAllowedOrigin(origin, settings) || URL.parse(origin)?.host === url.host) return;
  throw refused(
    403,
    `Pages of ${shown(origin)} may not talk to this server. PREFECT_SERVER_CORS_ALLOWED_ORIGINS lists those that may.`,
  );
}

/** A page may send text and forms to any site without a preflight. A browser sends JSON only if the response to the preflight allows it. */
function checkType({ body, headers }: Request): void {
  if (body === null || headers.get("content-length") === "0") return;
  const type = headers.get("content-type") ?? "";
  if (!JSON_TYPE.test(type)) throw refused(415, "A page has to call the body that it sends application/json.");
}

/** The beginning of a text that a client sent. */
const shown = (text: string) => JSON.stringify(text.slice(0, 200));

/** Whether a host name, in the form of `URL.hostname`, always means this machine, so no other site can have it. */
function isLoopbackName(hostname: string): boolean {
  return (
    hostname === "localhost" ||
    hostname.endsWith(".localhost") ||
    hostname === "[::1]" ||
    /^127\.\d+\.\d+\.\d+$/.test(hostname)
  );
}

/**
 * Whether pages of this origin may call the server: the list has the origin or `*`, or the server is local and the page
 * is on the same machine.
 */
function isAllowedOrigin(origin: string, { local, cors }: Settings): boolean {
  if (cors.origins.includes("*") || cors.origins.includes(origin)) return true;
  const url = local ? URL.parse(origin) : null;
  return url !== null && /^https?:$/.test(url.protocol) && isLoopbackName(url.hostname);
}

/** The default methods of Starlette's CORS middleware, which Prefect uses. */
const ALL_METHODS = ["DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY"];
/** Headers that a page may always send. */
const SAFE_HEADERS = ["Accept", "Accept-Language", "Content-Language", "Content-Type"];
const MAX_AGE_SECONDS = "600";
const PREFLIGHT_VARY =
  "Origin, Access-Control-Request-Method, Access-Control-Request-Headers, Access-Control-Request-Private-Network";

/** The answer to a preflight, by which a browser asks whether it may send a request; null for any other request. */
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

  // A page from the internet calls a server in a private network.
  if (headers.has("access-control-request-private-network")) failures.push("private-network");
  return failures.length === 0
    ? new Response("OK", { headers: answer })
    : new Response(`Disallowed CORS ${failures.join(", ")}`, { status: 400, headers: answer });
}

function areAllKnown(wanted: string, known: readonly string[]): boolean {
  const names = new Set(known.map((name) => name.toLowerCase()));
  return wanted.split(",").every((name) => names.has(name.trim().toLowerCase()));
}

/** Sets the headers that say whether a page of this origin may read the response. The upgrade of a socket gets no such headers. */
export function shareWith(origin: string | null, response: Response, settings: Settings): Response {
  if (response.status === 101) return response;
  const isForAll = settings.cors.origins.includes("*");
  if (origin !== null && isAllowedOrigin(origin, settings))
    response.headers.set("access-control-allow-origin", isForAll ? "*" : origin);
  response.headers.append("vary", "Origin");
  return response;
}
