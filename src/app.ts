/** The HTTP application: all routes, and the checks that each request passes. */
import { Hono } from "hono";
import { DEFAULT_WORKSPACE, type Env, parseSettings, type Settings } from "#env";
import { authorize } from "#http/auth";
import { readClient } from "#http/api-version";
import { bodySize, drain } from "#http/body";
import { preflight, shareWith } from "#http/cors";
import { docsPage } from "#http/docs";
import { checkDoor } from "#http/door";
import { toResponse } from "#http/errors";
import { requestIdOf, withRequestId } from "#http/request-id";
import type { Route } from "#http/route";
import { printCost, spend, totalCost } from "#lib/cost";
import { routes } from "#routes";
import { sockets } from "#sockets";
import { makeTools } from "#tools";
import openapi from "../dist/openapi.txt";

const UUID = "[0-9a-fA-F]{8}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{12}";

/** Prefect: these routes answer clients of every API version. */
const ANY_VERSION = new Set(["/health", "/hello", "/ready", "/version", "/csrf-token"]);

/**
 * workerd on one thread serves the newest call of an object first: of 64 callers some wait for seconds while others are answered
 * a hundred times. An answer that gives way to other events once lets all callers have their turn. In Cloudflare's network an
 * object has a thread of its own.
 */
const YIELD_MS = 0;

/** `/flow_runs/{id:uuid}` in Hono's syntax. */
function honoPath(path: string): string {
  return path.replaceAll(/\{(\w+)(:uuid)?\}/g, (_, name: string, uuid?: string) =>
    uuid ? `:${name}{${UUID}}` : `:${name}`,
  );
}

/** The path with a slash at its end, or without the one that it has. The original answers both. */
function otherSlash(path: string): string {
  return path.endsWith("/") ? path.slice(0, -1) : `${path}/`;
}

/** The whole application: what each request passes before the routes, and each answer after them. */
export function createApp() {
  const app = createRoutes();
  return {
    fetch: async (request: Request, env: Env, context: ExecutionContext): Promise<Response> =>
      withRequestId(request, await answerTo(request, env, () => app.fetch(request, env, context))),
  };
}

async function answerTo(request: Request, env: Env, routed: () => Response | Promise<Response>): Promise<Response> {
  try {
    return await throughTheDoor(request, parseSettings(env), routed);
  } catch (error) {
    return failed(request, error);
  }
}

async function throughTheDoor(
  request: Request,
  settings: Settings,
  routed: () => Response | Promise<Response>,
): Promise<Response> {
  const origin = request.headers.get("origin");
  try {
    checkDoor(request, new URL(request.url), settings);
  } catch (error) {
    return shareWith(origin, await failed(request, error), settings);
  }
  const answer = preflight(request, settings);
  if (answer === null) return shareWith(origin, await routed(), settings);
  await drain(request);
  return answer;
}

/** The answer to a request that failed or was refused. */
async function failed(request: Request, error: unknown): Promise<Response> {
  await drain(request);
  return toResponse(error, requestIdOf(request), request.url.length + bodySize(request));
}

function createRoutes(): Hono<{ Bindings: Env }> {
  const app = new Hono<{ Bindings: Env }>();
  for (const socket of sockets)
    app.get(`/api${honoPath(socket.path)}`, (c) => socket.open(c.req.raw, c.env, c.req.param()));
  for (const route of routes) {
    for (const path of [route.path, otherSlash(route.path)]) {
      app.on(route.method, `/api${honoPath(path)}`, (c) =>
        serve(route, c.req.raw, c.req.param(), c.env, c.executionCtx),
      );
    }
  }
  app.get("/api/openapi.json", (c) => guarded(c.req.raw, c.env, openApiDocument));
  app.get("/docs", (c) => guarded(c.req.raw, c.env, docsPage));
  app.get("/api/docs", (c) => guarded(c.req.raw, c.env, docsPage));
  app.get("/local/cost", (c) => localCost(c.req.raw, c.env));
  const paths = new Set(routes.flatMap((route) => [route.path, otherSlash(route.path)]));
  for (const path of paths) {
    app.all(`/api${honoPath(path)}`, async (c) => refuse(c.req.raw, c.env, 405, "Method Not Allowed"));
  }
  app.onError((error, c) => failed(c.req.raw, error));
  app.notFound(async (c) => refuse(c.req.raw, c.env, 404, "Not Found"));
  return app;
}

async function serve(
  route: Route,
  request: Request,
  params: Record<string, string>,
  env: Env,
  context: { waitUntil(work: Promise<unknown>): void },
): Promise<Response> {
  // Hono would answer it as a GET without its body; the original does not.
  if (request.method === "HEAD") return refuse(request, env, 405, "Method Not Allowed");
  try {
    const settings = parseSettings(env);
    authorize(request, new URL(request.url).pathname, settings);
    const client = ANY_VERSION.has(route.path) ? undefined : readClient(request.headers);
    const asked = { client, requestId: requestIdOf(request) };
    const tools = makeTools(env, DEFAULT_WORKSPACE, (work) => context.waitUntil(work), asked);
    spend(tools.cost, { requests: 1 });
    const response = await route.run(request, params, tools);
    if (settings.local && tools.cost.object_calls > 0) await scheduler.wait(YIELD_MS);
    if (settings.local && request.headers.has("x-sluice-cost"))
      response.headers.set("x-sluice-cost", printCost(tools.cost));
    return response;
  } catch (error) {
    return failed(request, error);
  }
}

/** An answer outside of the routes. It needs a key as well. */
async function guarded(request: Request, env: Env, answer: () => Response): Promise<Response> {
  await drain(request);
  try {
    authorize(request, new URL(request.url).pathname, parseSettings(env));
    return answer();
  } catch (error) {
    return failed(request, error);
  }
}

/** The answer for a path or a method that does not exist. */
function refuse(request: Request, env: Env, status: number, detail: string): Promise<Response> {
  return guarded(request, env, () => Response.json({ detail }, { status }));
}

function openApiDocument(): Response {
  return new Response(openapi, { headers: { "content-type": "application/json" } });
}

/** The cost of all work since the start, with background work. Only for benchmarks of a local server. */
function localCost(request: Request, env: Env): Promise<Response> | Response {
  if (!parseSettings(env).local) return refuse(request, env, 404, "Not Found");
  return guarded(request, env, () => Response.json(totalCost));
}
