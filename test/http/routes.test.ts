import { env, SELF } from "cloudflare:test";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import type { Env } from "#env";
import { MAX_BODY_BYTES } from "#http/body";
import type { Route } from "#http/route";
import { routes } from "#routes";
import { askApp } from "../support/app";
import { NO_ID, pathOf, titled } from "../support/routes";

const apiPath = (route: Route, id = NO_ID) => `/api${pathOf(route, { id })}`;

/** Sends a request to the app. `settings` override the settings of the tests. */
function ask(method: string, path: string, settings: Partial<Env> = {}, init: RequestInit = {}): Promise<Response> {
  const headers = new Headers(init.headers);
  if (!headers.has("content-type")) headers.set("content-type", "application/json");
  const request = new Request(`http://sluice${path}`, { method, ...init, headers });
  return askApp(request, settings);
}

const isOpen = (route: Route) => route.path === "/health" || route.path === "/ready";
const bodyOf = (route: Route) => (route.body instanceof z.ZodObject ? route.body : undefined);
const isPaged = (route: Route) => ["offset", "page"].some((name) => name in (bodyOf(route)?.shape ?? {}));
const takesLimit = (route: Route) => isPaged(route) && "limit" in (bodyOf(route)?.shape ?? {});

describe("without a key, a deployed Worker", () => {
  const deployed = { SLUICE_MODE: "deployed", SLUICE_API_KEY: undefined, SLUICE_AUTH_STRING: undefined };

  test.for(titled(routes.filter((route) => !isOpen(route))))(
    "refuses %s and names the missing setting",
    async ([, route]) => {
      const response = await ask(route.method, apiPath(route), deployed);
      expect(response.status).toBe(401);
      expect(await response.text()).toContain("wrangler secret put SLUICE_API_KEY");
    },
  );

  test.for(["/api/openapi.json", "/docs", "/api/docs", "/api/nothing", "/"])("refuses %s", async (path) => {
    expect((await ask("GET", path, deployed)).status).toBe(401);
  });

  test.for(titled(routes.filter(isOpen)))("answers %s", async ([, route]) => {
    expect((await ask("GET", apiPath(route), deployed)).status).toBe(200);
  });

  test("does not answer if a setting cannot be parsed", async () => {
    const response = await ask("GET", "/api/admin/version", { ...deployed, SLUICE_MODE: "lokal" });
    expect(response.status).toBe(500);
  });
});

describe("with a key or an auth string", () => {
  const KEY = "kéy-with-ümlaut";
  const base64 = (text: string) => btoa(String.fromCharCode(...new TextEncoder().encode(text)));
  const cases: readonly [string, Partial<Env>, string | undefined, number][] = [
    ["nothing", { SLUICE_API_KEY: "secret" }, undefined, 401],
    ["another key", { SLUICE_API_KEY: "secret" }, "Bearer secrets", 401],
    ["a part of the key", { SLUICE_API_KEY: "secret" }, "Bearer secre", 401],
    ["the key", { SLUICE_API_KEY: "secret" }, "Bearer secret", 200],
    ["the key, in small letters", { SLUICE_API_KEY: "secret" }, "bearer secret", 200],
    ["the key as an auth string", { SLUICE_API_KEY: "secret" }, `Basic ${base64("secret")}`, 401],
    ["the auth string", { SLUICE_AUTH_STRING: `me:${KEY}` }, `Basic ${base64(`me:${KEY}`)}`, 200],
    ["the auth string as a key", { SLUICE_AUTH_STRING: "me:word" }, "Bearer me:word", 401],
    ["an invalid base64 text", { SLUICE_AUTH_STRING: "me:word" }, "Basic ***", 401],
    ["either of two", { SLUICE_API_KEY: "secret", SLUICE_AUTH_STRING: "me:word" }, `Basic ${base64("me:word")}`, 200],
  ];

  for (const mode of ["local", "deployed"]) {
    test.for(cases)(`%s gets the right answer (${mode})`, async ([, settings, header, status]) => {
      const headers: Record<string, string> = header === undefined ? {} : { authorization: header };
      const given = { SLUICE_API_KEY: undefined, SLUICE_AUTH_STRING: undefined, ...settings, SLUICE_MODE: mode };
      expect((await ask("GET", "/api/admin/version", given, { headers })).status).toBe(status);
    });
  }

  test("an empty key counts as no key", async () => {
    const response = await ask(
      "GET",
      "/api/hello",
      { SLUICE_MODE: "deployed", SLUICE_API_KEY: "" },
      {
        headers: { authorization: "Bearer " },
      },
    );
    expect(response.status).toBe(401);
  });
});

describe("a path", () => {
  test.for(titled(routes.filter((route) => route.path.includes(":uuid"))))(
    "%s is refused for an id that is not a UUID",
    async ([, route]) => {
      const response = await ask(route.method, apiPath(route, "nonsense"));
      // Another route may accept any word instead of the id. Then the 404 or the 422 comes from that route.
      expect([404, 405, 422]).toContain(response.status);
      if (response.status === 404) expect(await response.json()).toHaveProperty("detail");
    },
  );

  test.for(titled(routes))("%s is refused with a method that the path does not have", async ([, route]) => {
    const path = apiPath(route);
    const taken = routes.filter((other) =>
      new RegExp(`^${apiPath(other).replaceAll("some-name", "[^/]+")}$`).test(path),
    );
    const method = ["PUT", "PATCH", "DELETE", "POST", "GET"].find((one) =>
      taken.every((other) => other.method !== one),
    );
    const response = await ask(method ?? "PUT", path);
    expect([response.status, await response.json()]).toEqual([405, { detail: "Method Not Allowed" }]);
  });

  test.for(["/api/nothing", "/api", "/nothing", "/api/flows/a/b/c"])("%s does not exist", async (path) => {
    const response = await ask("GET", path);
    expect([response.status, await response.json()]).toEqual([404, { detail: "Not Found" }]);
  });

  test("HEAD is refused", async () => {
    expect((await ask("HEAD", "/api/hello")).status).toBe(405);
  });
});

describe("a body", () => {
  const withBody = routes.filter((route) => route.body !== undefined);

  test.for(titled(withBody))("%s refuses a body that is not JSON", async ([, route]) => {
    const response = await ask(route.method, apiPath(route), {}, { body: '{"limit": 1' });
    expect(response.status).toBe(422);
    expect(await response.json()).toMatchObject({
      exception_message: "Invalid request received.",
      exception_detail: [{ type: "json_invalid", loc: ["body", 11], ctx: { error: "Expecting ',' delimiter" } }],
    });
  });

  test.for(titled(withBody.filter((route) => bodyOf(route) !== undefined)))(
    "%s refuses text instead of an object",
    async ([, route]) => {
      const response = await ask(route.method, apiPath(route), {}, { body: '"text"' });
      expect(response.status).toBe(422);
    },
  );

  test.for(titled(withBody.filter((route) => bodyOf(route)?.def.catchall instanceof z.ZodNever)))(
    "%s refuses an unknown field",
    async ([, route]) => {
      const response = await ask(route.method, apiPath(route), {}, { body: '{"colour": "red"}' });
      expect(response.status).toBe(422);
      const { exception_detail: details } = await response.json<{ exception_detail: unknown[] }>();
      expect(details).toContainEqual({
        type: "extra_forbidden",
        loc: ["body", "colour"],
        msg: "Extra inputs are not permitted",
        input: "red",
      });
    },
  );

  const limits = [
    [201, "Invalid limit: must be less than or equal to 200."],
    [-1, "Invalid limit: must be greater than or equal to 0."],
  ] as const;
  test.for(titled(withBody.filter((route) => bodyOf(route) !== undefined)))(
    "%s parses a body as JSON only if the content-type is JSON",
    async ([, route]) => {
      const headers = { "content-type": "text/plain" };
      const response = await ask(route.method, apiPath(route), {}, { headers, body: '{"limit": 0}' });
      expect(response.status).toBe(422);
    },
  );

  test.for(["application/json; charset=utf-8", "application/merge-patch+json", ""])(
    "with the content-type %j is parsed as JSON",
    async (type) => {
      const headers = { "content-type": type };
      const response = await ask("POST", "/api/flows/filter", {}, { headers, body: '{"limit": 201}' });
      expect(await response.json()).toEqual({ detail: "Invalid limit: must be less than or equal to 200." });
    },
  );

  // The schema of a limit with a bound of its own refuses a larger one.
  test.for(titled(withBody.filter((route) => takesLimit(route) && route.body?.safeParse({ limit: 1_001 }).success)))(
    "%s has a limit from 0 to 200",
    async ([, route]) => {
      for (const [limit, detail] of limits) {
        const response = await ask(route.method, apiPath(route), {}, { body: JSON.stringify({ limit }) });
        // A route that first reads the row of its path answers that the row does not exist.
        if (response.status !== 404) expect([response.status, await response.json()]).toEqual([422, { detail }]);
      }
    },
  );

  test.for([
    ["sent before", {}],
    ["not sent", { chunked: true }],
  ] as const)(
    "that is larger than the bound, its length %s, is a 413, and the next request is answered",
    async ([, how]) => {
      const bytes = new Uint8Array(MAX_BODY_BYTES + 1).fill(32);
      const body = "chunked" in how ? new Blob([bytes]).stream() : bytes;
      const response = await SELF.fetch("http://sluice/api/logs/", { method: "POST", body });
      expect(response.status).toBe(413);
      expect(await response.json()).toEqual({ detail: `The request's body is larger than ${MAX_BODY_BYTES} bytes.` });
      expect((await SELF.fetch("http://sluice/api/health")).status).toBe(200);
    },
  );

  test("as large as the bound is read", async () => {
    const body = new Uint8Array(MAX_BODY_BYTES).fill(32);
    body.set(new TextEncoder().encode("[]"));
    expect((await SELF.fetch("http://sluice/api/logs/", { method: "POST", body })).status).toBe(201);
  });
});

describe("an internal error", () => {
  const broken = new Proxy(env.DB, {
    get(target, name) {
      if (name === "prepare") throw new Error("the secret of the cellar");
      return Reflect.get(target, name);
    },
  });

  test("is a 500 with the request id, without the error message", async () => {
    const response = await ask("GET", "/api/variables/name/x", { DB: broken }, { headers: { "cf-ray": "ray-1" } });
    expect(response.status).toBe(500);
    expect(response.headers.get("x-request-id")).toBe("ray-1");
    const text = await response.text();
    expect(text).toContain("ray-1");
    expect(text).not.toContain("cellar");
  });

  test("makes the server not ready", async () => {
    const response = await ask("GET", "/api/ready", { DB: broken });
    expect([response.status, await response.json()]).toEqual([503, { message: "Database is not available" }]);
  });
});

describe("the API version that a client names", () => {
  test.for([
    ["0.8.4", "/hello", 200],
    ["0.9.0", "/admin/version", 200],
    ["0.7.9", "/admin/version", 400],
    ["new", "/admin/version", 400],
    ["0.7.9", "/health", 200],
  ] as const)("%s at %s: %d", async ([version, path, status]) => {
    const headers = { "x-prefect-api-version": version };
    expect((await ask("GET", `/api${path}`, {}, { headers })).status).toBe(status);
  });
});
