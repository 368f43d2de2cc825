/** Answers have the same CORS headers as the original's recorded answers (`record-cors.py`). */
import { describe, expect, test } from "vitest";
import type { Env } from "#env";
import { askApp } from "../support/app";
import json from "./cors.json?raw";

interface Recorded {
  name: string;
  settings: Record<string, string>;
  answers: {
    method: string;
    headers: Record<string, string>;
    status: number;
    shared: Record<string, string>;
    text: string;
  }[];
}

const recorded = JSON.parse(json) as readonly Recorded[];
const DEPLOYED = { SLUICE_MODE: "deployed", SLUICE_API_KEY: "secret" };

function ask(settings: Partial<Env>, method: string, headers: Record<string, string>, path = "/health") {
  const request = new Request(`http://sluice/api${path}`, { method, headers });
  return askApp(request, { ...DEPLOYED, ...settings });
}

const sharedOf = (headers: Headers) =>
  Object.fromEntries([...headers].filter(([name]) => name === "vary" || name.startsWith("access-control-")));

const variables = (settings: Record<string, string>, prefix: string) =>
  Object.fromEntries(Object.entries(settings).map(([key, value]) => [`${prefix}_ALLOWED_${key.toUpperCase()}`, value]));

describe.for(["PREFECT_SERVER_CORS", "PREFECT_SERVER_API_CORS"])("with settings named %s", (prefix) => {
  describe.for(recorded)("that allow $name", ({ settings, answers }) => {
    const named = answers.map((answer) => [`${answer.method} ${JSON.stringify(answer.headers)}`, answer] as const);
    test.for(named)("%s gets the answer of the original", async ([, { method, headers, status, shared, text }]) => {
      const response = await ask(variables(settings, prefix), method, headers);
      expect([response.status, sharedOf(response.headers), await response.text()]).toEqual([status, shared, text]);
    });
  });
});

describe("a refusal", () => {
  test("can be read by the page that sent the request", async () => {
    const response = await ask({}, "GET", { origin: "https://ui.example" }, "/flows/nothing");
    expect([response.status, sharedOf(response.headers)]).toEqual([
      401,
      { "access-control-allow-origin": "*", vary: "Origin" },
    ]);
  });

  test("does not open a password window in a browser", async () => {
    for (const settings of [{}, { SLUICE_AUTH_STRING: "me:word" }, { SLUICE_API_KEY: undefined }]) {
      const response = await ask(settings, "GET", {}, "/flows/nothing");
      expect([response.status, response.headers.get("www-authenticate")]).toEqual([401, null]);
    }
  });
});

test("GET /admin/settings has the allowed origins", async () => {
  const settings = { SLUICE_API_KEY: undefined, SLUICE_MODE: "local", PREFECT_SERVER_CORS_ALLOWED_ORIGINS: "a, b" };
  const body = await (await ask(settings, "GET", {}, "/admin/settings")).json<{ server: { api: unknown } }>();
  expect(body.server.api).toMatchObject({
    cors_allowed_origins: "a,b",
    cors_allowed_methods: "*",
    cors_allowed_headers: "*",
  });
});
