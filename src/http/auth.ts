/** Checks the key of requests and of sockets. */
import { timingSafeEqual } from "node:crypto";
import type { Settings } from "#env";
import { ApiError } from "#lib/api-error";
import { decodeBase64 } from "#lib/bytes";

/** Paths that need no key, for probes. */
const OPEN_PATHS = new Set(["/api/health", "/api/ready"]);

const NOTHING_SET =
  "This Sluice has no key yet and refuses everything but its health check. Set one with `wrangler secret put SLUICE_API_KEY`" +
  " (clients send it as PREFECT_API_KEY) or `wrangler secret put SLUICE_AUTH_STRING` (user:password, PREFECT_API_AUTH_STRING).";

/** Whether requests need a key or an auth string. */
export function needsCredentials(settings: Settings): boolean {
  return settings.apiKey !== null || settings.authString !== null || !settings.local;
}

/** Throws 401 for a request without the right key. A deployed Sluice that has no key refuses every request, and its message names the settings. */
export function authorize(request: Request, path: string, settings: Settings): void {
  if (OPEN_PATHS.has(path) || !needsCredentials(settings)) return;
  if (settings.apiKey === null && settings.authString === null)
    throw new ApiError(401, { exception_message: NOTHING_SET });
  if (isAuthorized(request.headers.get("authorization"), settings)) return;
  // No WWW-Authenticate header, as in Prefect: with the header, a browser would show its own password dialog.
  throw new ApiError(401, { exception_message: "Unauthorized" });
}

/** Whether an `Authorization` header has the right key. */
export function isAuthorized(header: string | null, settings: Settings): boolean {
  const [scheme, credentials] = (header ?? "").split(" ", 2);
  if (!scheme || !credentials) return false;
  if (scheme.toLowerCase() === "bearer") return isToken(credentials, settings.apiKey);
  if (scheme.toLowerCase() !== "basic") return false;
  try {
    return isToken(decodeBase64(credentials), settings.authString);
  } catch {
    // Not base64.
    return false;
  }
}

/** Whether a token, from a header or a socket's first message, equals the expected token. Compares in constant time. */
export function isToken(token: string, expected: string | null): boolean {
  if (expected === null) return false;
  const given = new TextEncoder().encode(token);
  const wanted = new TextEncoder().encode(expected);
  // A token of another length also takes one comparison, so that the time does not reveal the length.
  if (given.byteLength !== wanted.byteLength) {
    timingSafeEqual(wanted, wanted);
    return false;
  }
  return timingSafeEqual(given, wanted);
}

/** Whether a socket's auth message has the API key or the auth string. Prefect's client sends one of them. */
export function isSocketToken(token: unknown, settings: Settings): boolean {
  if (!needsCredentials(settings)) return true;
  return typeof token === "string" && (isToken(token, settings.apiKey) || isToken(token, settings.authString));
}
