/** The Worker's bindings and settings, parsed once. */
import { z } from "zod";

/** Bindings of wrangler.toml and the settings that a deployment may add. */
export interface Env {
  DB: D1Database;
  WORK_POOL: DurableObjectNamespace;
  EVENT_STREAM: DurableObjectNamespace;
  CONCURRENCY_LIMITS: DurableObjectNamespace;
  EVENTS: Queue;
  ACTIONS: Queue;
  /** `local` under `npm start`: open on loopback, and answers what requests cost. */
  SLUICE_MODE?: string;
  /** The bearer key that clients send as `PREFECT_API_KEY`. */
  SLUICE_API_KEY?: string;
  /** `user:password`, as clients send `PREFECT_API_AUTH_STRING`. */
  SLUICE_AUTH_STRING?: string;
}

const Settings = z.object({
  SLUICE_MODE: z.enum(["local", "deployed"]).default("deployed"),
  SLUICE_API_KEY: z.string().min(1).optional(),
  SLUICE_AUTH_STRING: z.string().includes(":").optional(),
});

/** The settings as the code uses them. */
export interface Settings {
  /** Whether this is `npm start` or a test, not a deployed Worker. */
  local: boolean;
  apiKey: string | null;
  authString: string | null;
}

/** Reads the settings out of the environment; a malformed one throws, so that a typo never opens the door. */
export function parseSettings(env: Env): Settings {
  const parsed = Settings.parse({
    SLUICE_MODE: env.SLUICE_MODE || undefined,
    SLUICE_API_KEY: env.SLUICE_API_KEY || undefined,
    SLUICE_AUTH_STRING: env.SLUICE_AUTH_STRING || undefined,
  });
  return {
    local: parsed.SLUICE_MODE === "local",
    apiKey: parsed.SLUICE_API_KEY ?? null,
    authString: parsed.SLUICE_AUTH_STRING ?? null,
  };
}

/** The workspace of `/api/…`, the shape of the open-source server. */
export const DEFAULT_WORKSPACE = "00000000-0000-4000-8000-000000000001";
