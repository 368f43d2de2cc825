/** The HTTP application: all routes, and the checks that each request passes. */
import { type Context, Hono } from "hono";
import { DEFAULT_WORKSPACE, type Env, parseSettings, type Settings } from "#env";
import { authorize } from "#http/auth";
import { readClient } from "#http/api-version";
import { bodySize, drain } from "#http/body";
import { compress } from "#http/compression";
import { checkSite, preflight, shareWith } from "#http/cross-site";
import { checkCsrf } from "#http/csrf";
import { toResponse } from "#http/errors";
import type { Route } from "#http/route";
import { staticAnswer } from "#http/static-answer";
import { uiSettings } from "#http/ui-settings";
import { printCost, spend, totalCost } from "#lib/cost";
import { runLocalJob } from "#local";
import { routes, sockets } from "#routes";
import { makeTools } from "#tools";
import openapi from "../dist/openapi.txt";
import docs from "./http/docs.html";

const UUID = "[0-9a-fA-F]{8}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{12}";

/** Prefect: these routes answer clients of every API version. */
const ANY_VERSION = new Set(["/health", "/version"]);

/**
 * A local workerd has one thread, and serves the newest call of an object first: of 64 callers some wait for seconds
 * while others get a hundred responses. If each response yields to other events once, all callers are served. In
 * Cloudflare's network an object has its own thread.
 */
const YIELD_MS = 0;

/** Hono's context of a request. */
type Asked = Context<{ Bindings: Env }>;

/** The whole application. Each answer has the id of its request, except the upgrade of a socket. */
export function createApp() {
  const app = createRoutes();
  return {
    fetch: async (request: Request, env: Env, context: ExecutionContext): Promise<Response> => {
      let answer;
      try {
        answer = await answerTo(request, parseSettings(env), () => app.fetch(request, env, context));
      } catch (error) {
        answer = await failed(request, error);
      }
      if (answer.status !== 101) answer.headers.set("x-request-id", requestIdOf(request));
      return answer;
    },
  };
}

/** Checks a request before the routes, and sets the CORS headers of the response. */
async function answerTo(
  request: Request,
  settings: Settings,
  routed: () => Response | Promise<Response>,
): Promise<Response> {
  const origin = request.headers.get("origin");
  try {
    checkSite(request, new URL(request.url), settings);
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

/** Printable ASCII of at most 200 characters. */
const REQUEST_ID = /^[\x20-\x7e]{1,200}$/;

const requestIds = new WeakMap<Request, string>();

/**
 * The id of a request in responses and in the log: its own `x-request-id` if well-formed, else Cloudflare's id, else a
 * new id. Further calls give the same id.
 */
function requestIdOf(request: Request): string {
  const known = requestIds.get(request);
  if (known !== undefined) return known;
  const own = request.headers.get("x-request-id") ?? "";
  const id = REQUEST_ID.test(own) ? own : (request.headers.get("cf-ray") ?? crypto.randomUUID());
  requestIds.set(request, id);
  return id;
}

function createRoutes(): Hono<{ Bindings: Env }> {
  const app = new Hono<{ Bindings: Env }>();
  for (const socket of sockets)
    app.get(`/api${honoPath(socket.path)}`, (c) => socket.open(c.req.raw, c.env, c.req.param()));
  for (const route of routes) {
    for (const path of [route.path, otherSlash(route.path)])
      app.on(route.method, `/api${honoPath(path)}`, (c) => guarded(c, (settings) => serve(route, c, settings)));
  }
  app.get("/api/openapi.json", (c) => guarded(c, (settings) => openApiDocument(c.req.raw, settings)));
  app.get("/docs", (c) => guarded(c, () => docsPage(c.req.raw)));
  app.get("/api/docs", (c) => guarded(c, () => docsPage(c.req.raw)));
  app.get("/ui-settings", (c) => settingsOfUi(c.req.raw, parseSettings(c.env)));
  // For benchmarks and tests of a local server: the cost of all work since the start, with background work, and jobs.
  app.get("/local/cost", (c) => ifLocal(c, () => Response.json(totalCost)));
  app.post("/local/jobs/:job", (c) => ifLocal(c, () => runLocalJob(c.env, c.req.param("job"), c.req.query("ahead"))));
  const paths = new Set(routes.flatMap((route) => [route.path, otherSlash(route.path)]));
  for (const path of paths) app.all(`/api${honoPath(path)}`, (c) => guarded(c, noSuchMethod));
  app.onError((error, c) => failed(c.req.raw, error));
  app.notFound((c) => guarded(c, noSuchPath));
  return app;
}

/** `/flow_runs/{id:uuid}` in Hono's syntax. */
function honoPath(path: string): string {
  return path.replaceAll(/\{(\w+)(:uuid)?\}/g, (_, name: string, uuid?: string) =>
    uuid ? `:${name}{${UUID}}` : `:${name}`,
  );
}

/** Adds a slash at the end of the path, or removes the slash. Prefect answers both paths. */
function otherSlash(path: string): string {
  return path.endsWith("/") ? path.slice(0, -1) : `${path}/`;
}

/** Checks the key, and gives the answer. */
async function guarded(c: Asked, answer: (settings: Settings) => Response | Promise<Response>): Promise<Response> {
  const request = c.req.raw;
  try {
    const settings = parseSettings(c.env);
    authorize(request, new URL(request.url).pathname, settings);
    const response = await answer(settings);
    await drain(request);
    return response;
  } catch (error) {
    return failed(request, error);
  }
}

/** Gives an answer that only a local server has. */
function ifLocal(c: Asked, answer: () => Response | Promise<Response>): Promise<Response> {
  return guarded(c, ({ local }) => (local ? answer() : noSuchPath()));
}

/** The answer of a route. */
async function serve(route: Route, c: Asked, settings: Settings): Promise<Response> {
  const request = c.req.raw;
  // Hono would answer HEAD as a GET without a body. Prefect does not.
  if (request.method === "HEAD") return noSuchMethod();
  const client = ANY_VERSION.has(route.path) ? undefined : readClient(request.headers);
  const asked = { client, requestId: requestIdOf(request) };
  const tools = makeTools(c.env, DEFAULT_WORKSPACE, (work) => c.executionCtx.waitUntil(work), asked);
  spend(tools.cost, { requests: 1 });
  await checkCsrf(request, tools);
  const response = await route.run(request, c.req.param(), tools);
  if (settings.local && tools.cost.object_calls > 0) await scheduler.wait(YIELD_MS);
  if (settings.local && request.headers.has("x-sluice-cost"))
    response.headers.set("x-sluice-cost", printCost(tools.cost));
  return settings.local ? compress(request, response) : response;
}

const noSuchPath = () => Response.json({ detail: "Not Found" }, { status: 404 });

const noSuchMethod = () => Response.json({ detail: "Method Not Allowed" }, { status: 405 });

function openApiDocument(request: Request, settings: Settings): Response {
  const answer = staticAnswer(request, openapi, { "content-type": "application/json" });
  return settings.local ? compress(request, answer) : answer;
}

/** Prefect: needs no key. */
function settingsOfUi(request: Request, settings: Settings): Response {
  return request.method === "HEAD" ? noSuchMethod() : Response.json(uiSettings(settings, new URL(request.url)));
}

/** The page at /docs, which reads the API's operations from the OpenAPI document. The page itself holds no data. */
function docsPage(request: Request): Response {
  return staticAnswer(request, docs, {
    "content-type": "text/html; charset=utf-8",
    "content-security-policy":
      "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'",
  });
}
