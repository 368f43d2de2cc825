/**
 * Refuses requests of pages of other sites, before the key is checked. A local server needs no key, so it must tell such pages
 * from its user's programs: by the host name, by the page's origin, and by the content type.
 */
import type { Settings } from "#env";
import { JSON_TYPE } from "#http/json-body";
import { isAllowedOrigin, isLoopbackName } from "#http/origins";
import { refused } from "#lib/api-error";

const READING = new Set(["GET", "HEAD", "OPTIONS"]);

/** Throws 403 or 415 for a request of such a page, and for a host name of another server. Programs send no `Origin`. */
export function checkDoor(request: Request, url: URL, settings: Settings): void {
  if (settings.local) checkName(url, settings);
  const isSocket = request.headers.get("upgrade")?.toLowerCase() === "websocket";
  if (!isSocket && READING.has(request.method)) return;
  const page = pageOf(request.headers);
  if (page === null) return;
  if (page !== "same-origin") checkOrigin(page, url, settings);
  if (!isSocket) checkType(request);
}

/** A page whose own name was made to lead to this machine (DNS rebinding) calls the server by that name. */
function checkName({ hostname }: URL, { allowedHosts }: Settings): void {
  if (isLoopbackName(hostname) || allowedHosts.includes(hostname)) return;
  throw refused(
    403,
    `This local server is called ${shown(hostname)}, and answers to names of this machine alone, as localhost and 127.0.0.1.` +
      " SLUICE_ALLOWED_HOSTS lists other names.",
  );
}

/** The origin of the page that a browser speaks for; null where it is no browser. */
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

/** A page may send text and forms to any site without asking; JSON, called so, only if the answer to its preflight allows it. */
function checkType({ body, headers }: Request): void {
  if (body === null || headers.get("content-length") === "0") return;
  const type = headers.get("content-type") ?? "";
  if (!JSON_TYPE.test(type)) throw refused(415, "A page has to call the body that it sends application/json.");
}

/** The begin of a text that a client sent. */
const shown = (text: string) => JSON.stringify(text.slice(0, 200));
