/** The Worker's app, for requests with settings other than those of the tests. */
import { createExecutionContext, env } from "cloudflare:test";
import { createApp } from "#app";
import { type Env, parseSettings } from "#env";

const app = createApp();

/** Sends a request to the app. `settings` override the settings of the tests. */
export function askApp(request: Request, settings: Partial<Env> = {}): Promise<Response> {
  return app.fetch(request, { ...env, ...settings }, createExecutionContext());
}

/** The settings of the services when no variable is set. */
export const DEFAULT_SERVICES = parseSettings({} as Env).services;
