/** CSRF tokens: who needs one, and how long a token is valid. */
import { describe, expect, test } from "vitest";
import type { Env } from "#env";
import { createCsrfToken } from "#http/csrf";
import { routes } from "#routes";
import { askApp } from "../support/app";
import { titled, pathOf } from "../support/routes";
import { tools } from "../support/tools";

const ON = { PREFECT_SERVER_CSRF_PROTECTION_ENABLED: "true" };

interface Token {
  token: string;
  client: string;
  expiration: string;
}

function ask(method: string, path: string, headers: Record<string, string> = {}, settings: Partial<Env> = ON) {
  const all = { "content-type": "application/json", ...headers };
  const body = method === "POST" ? "{}" : null;
  return askApp(new Request(`http://sluice/api${path}`, { method, headers: all, body }), settings);
}

async function aToken(client: string, settings: Partial<Env> = ON): Promise<Token> {
  const response = await ask("GET", `/csrf-token?client=${client}`, {}, settings);
  expect(response.status).toBe(200);
  return response.json<Token>();
}

const withToken = ({ token, client }: Pick<Token, "token" | "client">) => ({
  "prefect-csrf-token": token,
  "prefect-csrf-client": client,
});

/** Asks for a list of flows, and gives the status and the reason of a refusal. */
async function listFlows(headers: Record<string, string>, settings: Partial<Env> = ON): Promise<[number, unknown]> {
  const response = await ask("POST", "/flows/filter", headers, settings);
  return [response.status, response.status === 200 ? null : (await response.json<{ detail: string }>()).detail];
}

describe("a server that wants CSRF tokens", () => {
  test("accepts the token of a client, in any isolate and again", async () => {
    const token = await aToken("me");
    expect(token).toMatchObject({ client: "me", token: expect.stringMatching(/^[\da-f]{64}$/) });
    const lifetime = Date.parse(token.expiration) - Date.now();
    expect(lifetime).toBeGreaterThan(3_590_000);
    expect(lifetime).toBeLessThanOrEqual(3_600_000);
    expect(await listFlows(withToken(token))).toEqual([200, null]);
    expect(await listFlows(withToken(token))).toEqual([200, null]);
    expect(await listFlows(withToken(await aToken("me")))).toEqual([200, null]);
  });

  test.for([
    ["nothing", () => ({}), "Missing CSRF token."],
    ["no client", ({ token }: Token) => ({ "prefect-csrf-token": token }), "Missing client identifier."],
    ["no token", ({ client }: Token) => ({ "prefect-csrf-client": client }), "Missing CSRF token."],
    [
      "another's token",
      ({ token }: Token) => withToken({ token, client: "you" }),
      "Invalid CSRF token or client identifier.",
    ],
    [
      "a part of it",
      ({ token }: Token) => withToken({ token: token.slice(1), client: "me" }),
      "Invalid CSRF token or client identifier.",
    ],
    [
      "a later end",
      ({ token }: Token) => withToken({ token: `f${token.slice(1)}`, client: "me" }),
      "Invalid CSRF token or client identifier.",
    ],
    ["a word", () => withToken({ token: "word", client: "me" }), "Invalid CSRF token or client identifier."],
  ] as const)("refuses %s", async ([, headers, detail]) => {
    expect(await listFlows(headers(await aToken("me")))).toEqual([403, detail]);
  });

  test("refuses a token that has ended", async () => {
    const now = tools();
    const settings = { ...now.settings, csrf: { enabled: true, token_seconds: 60 } };
    const before = { ...now, settings, clock: () => now.clock() - 61_000_000 };
    const token = await createCsrfToken(before, "me");
    expect((await listFlows(withToken(token)))[0]).toBe(403);
    expect((await listFlows(withToken(await createCsrfToken({ ...now, settings }, "me"))))[0]).toBe(200);
  });

  test.for(titled(routes.filter(({ method }) => method !== "GET")))("wants one for %s", async ([, route]) => {
    const response = await ask(route.method, pathOf(route));
    expect([response.status, await response.json()]).toEqual([403, { detail: "Missing CSRF token." }]);
  });

  test.for(["/health", "/hello", "/admin/version", "/csrf-token?client=x"])("wants none for GET %s", async (path) => {
    expect((await ask("GET", path)).status).toBe(200);
  });

  test("has tokens for a set time", async () => {
    const token = await aToken("me", { ...ON, PREFECT_SERVER_CSRF_TOKEN_EXPIRATION: "60" });
    expect(Date.parse(token.expiration) - Date.now()).toBeLessThanOrEqual(60_000);
  });

  test("shows it in its settings, and to the UI", async () => {
    const { server } = await (await ask("GET", "/admin/settings")).json<{ server: { api: Record<string, unknown> } }>();
    expect(server.api).toMatchObject({ csrf_protection_enabled: true, csrf_token_expiration: "PT1H" });
    const shown = await askApp(new Request("http://sluice/ui-settings"), ON);
    expect(await shown.json()).toMatchObject({ csrf_enabled: true });
  });
});

test("a server that wants no tokens accepts requests without, and gives none", async () => {
  expect(await listFlows({}, {})).toEqual([200, null]);
  const response = await ask("GET", "/csrf-token?client=me", {}, {});
  expect([response.status, await response.json()]).toEqual([422, { detail: "CSRF protection is disabled." }]);
});
