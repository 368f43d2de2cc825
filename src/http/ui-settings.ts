/** `GET /ui-settings`: what Prefect's web UI reads before all else. It has no secret, and needs no key: the login form comes later. */
import type { Settings } from "#env";

/** The settings of a UI that calls this server. The server itself serves no UI of Prefect. */
export function uiSettings({ csrf, authString }: Settings, url: URL) {
  return {
    api_url: `${url.origin}/api`,
    csrf_enabled: csrf.enabled,
    // The UI asks for the auth string only if it reads this word.
    auth: authString === null ? null : "BASIC",
    flags: [],
    default_ui: "v2",
    available_uis: [],
    v1_base_url: null,
    v2_base_url: null,
  };
}
