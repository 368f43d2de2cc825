/** The names of this machine, and the origins of pages that may send requests. */
import type { Settings } from "#env";

/** Whether a host name, as `URL.hostname` prints it, is this machine's own by definition: no other site can have it. */
export function isLoopbackName(hostname: string): boolean {
  return (
    hostname === "localhost" ||
    hostname.endsWith(".localhost") ||
    hostname === "[::1]" ||
    /^127\.\d+\.\d+\.\d+$/.test(hostname)
  );
}

/**
 * Whether pages of this origin may talk to this server: those that are listed, or all of them with `*`. A local server lets in
 * pages of its own machine, too.
 */
export function isAllowedOrigin(origin: string, { local, cors }: Settings): boolean {
  if (cors.origins.includes("*") || cors.origins.includes(origin)) return true;
  const url = local ? URL.parse(origin) : null;
  return url !== null && /^https?:$/.test(url.protocol) && isLoopbackName(url.hostname);
}
