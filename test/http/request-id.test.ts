import { env } from "cloudflare:test";
import { describe, expect, test, vi } from "vitest";
import type { Env } from "#env";
import { askApp } from "../support/app";

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

const broken = new Proxy(env.DB, {
  get(target, name) {
    if (name === "prepare") throw new Error("the secret of the cellar");
    return Reflect.get(target, name);
  },
});

function ask(path: string, init: RequestInit = {}, settings: Partial<Env> = {}): Promise<Response> {
  return askApp(new Request(`http://sluice${path}`, init), settings);
}

const PREFLIGHT = { origin: "http://localhost:3000", "access-control-request-method": "POST" };
const page = { method: "POST", headers: { origin: "https://elsewhere.example" } };

describe("the answer has the id of its request:", () => {
  test.for<[string, number, string, RequestInit?, Partial<Env>?]>([
    ["of a route", 200, "/api/health"],
    ["that there is no such path", 404, "/api/nothing"],
    ["that there is no such method", 405, "/api/health", { method: "DELETE" }],
    ["that the request is invalid", 422, "/api/variables/", { method: "POST", body: "{}" }],
    ["that a page may not ask", 403, "/api/variables/", page],
    ["that the key is missing", 401, "/api/variables/count", {}, { SLUICE_API_KEY: "secret" }],
    ["that the server failed", 500, "/api/variables/name/x", {}, { DB: broken }],
    ["that a setting cannot be read", 500, "/api/health", {}, { SLUICE_MODE: "open" }],
    ["that a socket has to be upgraded", 426, "/api/events/out"],
    ["to a preflight", 200, "/api/variables/", { method: "OPTIONS", headers: PREFLIGHT }],
    ["of the document", 200, "/api/openapi.json"],
    ["of the page", 200, "/docs"],
  ])("%s", async ([, status, path, init = {}, settings = {}]) => {
    const silence = vi.spyOn(console, "error").mockImplementation(() => {});
    const made = await ask(path, init, settings);
    expect([made.status, made.headers.get("x-request-id")]).toEqual([status, expect.stringMatching(UUID)]);
    const headers = new Headers(init.headers);
    headers.set("x-request-id", "mine 1");
    expect((await ask(path, { ...init, headers }, settings)).headers.get("x-request-id")).toBe("mine 1");
    silence.mockRestore();
  });
});

test.for(["", "x".repeat(201), "a\tb", "é"])("an invalid id is replaced: %j", async (id) => {
  const response = await ask("/api/health", { headers: { "x-request-id": id } });
  expect(response.headers.get("x-request-id")).toMatch(UUID);
});

test("the longest valid id is kept, also if Cloudflare sends an id", async () => {
  const id = "x".repeat(200);
  const response = await ask("/api/health", { headers: { "x-request-id": id, "cf-ray": "ray-1" } });
  expect(response.headers.get("x-request-id")).toBe(id);
});

test("the answer to a fault and the line in the log have the same request id", async () => {
  const lines = vi.spyOn(console, "error").mockImplementation(() => {});
  const response = await ask("/api/variables/name/x", {}, { DB: broken });
  const { request_id } = await response.json<{ request_id: string }>();
  expect(response.headers.get("x-request-id")).toBe(request_id);
  expect(lines.mock.calls.map(([line]) => JSON.parse(String(line)) as unknown)).toEqual([
    {
      level: "error",
      message: "a request failed",
      request_id,
      error: { message: "the secret of the cellar", stack: expect.stringContaining("cellar") },
    },
  ]);
  lines.mockRestore();
});
