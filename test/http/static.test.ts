/** Answers that stay the same: their tags, HEAD, the settings of the UI, and the compression of large answers. */
import { SELF } from "cloudflare:test";
import { describe, expect, test } from "vitest";
import type { Env } from "#env";
import { compress, markLarge } from "#http/compression";
import { askApp } from "../support/app";

const get = (path: string, headers: Record<string, string> = {}, settings: Partial<Env> = {}) =>
  askApp(new Request(`http://sluice${path}`, { headers }), settings);

describe("an answer that stays the same", () => {
  const paths = ["/api/openapi.json", "/docs", "/api/docs", "/api/collections/views/aggregate-worker-metadata"];

  test.for(paths)("%s has a tag, by which a client need not read it again", async (path) => {
    const first = await get(path);
    const tag = first.headers.get("etag") ?? "";
    expect([first.status, tag]).toEqual([200, expect.stringMatching(/^W\/"[\da-f]{32}"$/)]);
    for (const known of [tag, tag.slice(2), `"x", ${tag}`, "*"]) {
      const again = await get(path, { "if-none-match": known });
      expect([again.status, again.headers.get("etag"), await again.text()]).toEqual([304, tag, ""]);
    }
    expect((await get(path, { "if-none-match": 'W/"x"' })).status).toBe(200);
  });

  test("is not told from its tag without the key", async () => {
    const tag = (await get("/api/openapi.json")).headers.get("etag") ?? "";
    expect((await get("/api/openapi.json", { "if-none-match": tag }, { SLUICE_API_KEY: "secret" })).status).toBe(401);
  });
});

describe("HEAD", () => {
  test.for([
    ["/api/openapi.json", 200],
    ["/docs", 200],
    ["/ui-settings", 405],
    ["/api/health", 405],
    ["/api/admin/settings", 405],
    ["/api/nothing", 404],
  ] as const)("of %s is %d, without a body", async ([path, status]) => {
    const response = await SELF.fetch(`http://sluice${path}`, { method: "HEAD" });
    expect([response.status, await response.text()]).toEqual([status, ""]);
  });
});

describe("GET /ui-settings", () => {
  test.for([
    [{}, null],
    [{ SLUICE_AUTH_STRING: "me:word" }, "BASIC"],
    [{ SLUICE_API_KEY: "secret" }, null],
    [{ SLUICE_MODE: "deployed" }, null],
  ] as const)(
    "with %j names the address of the API, and whether the UI asks for an auth string",
    async ([settings, auth]) => {
      const response = await get("/ui-settings", {}, settings);
      expect([response.status, await response.json()]).toEqual([
        200,
        {
          api_url: "http://sluice/api",
          csrf_enabled: false,
          auth,
          flags: [],
          default_ui: "v2",
          available_uis: [],
          v1_base_url: null,
          v2_base_url: null,
        },
      ]);
    },
  );
});

describe("a large answer of a local server", () => {
  const of = (characters: number, accepted: string | null) => {
    const headers = new Headers(accepted === null ? {} : { "accept-encoding": accepted });
    return compress(new Request("http://sluice", { headers }), markLarge(new Response("x"), characters)).headers;
  };

  test.for([
    ["gzip", "gzip"],
    ["deflate, gzip;q=0.5", "gzip"],
    ["*", "gzip"],
    ["br", null],
    ["gzip;q=0", null],
    ["gzip;q=0.0, br", null],
    [null, null],
  ] as const)("is sent to a client that takes %s as %s", ([accepted, encoding]) => {
    expect(of(1_000_000, accepted).get("content-encoding")).toBe(encoding);
    expect(of(1_000_000, accepted).get("vary")).toBe("Accept-Encoding");
  });

  test("is compressed, and a small one is not", async () => {
    expect(of(399_999, "gzip").get("content-encoding")).toBe(null);
    expect((await get("/api/openapi.json", { "accept-encoding": "gzip" })).headers.get("content-encoding")).toBe(
      "gzip",
    );
    expect((await get("/api/admin/settings", { "accept-encoding": "gzip" })).headers.get("content-encoding")).toBe(
      null,
    );
    const deployed = { SLUICE_MODE: "deployed", SLUICE_API_KEY: "secret" } as const;
    const headers = { "accept-encoding": "gzip", authorization: "Bearer secret" };
    expect((await get("/api/openapi.json", headers, deployed)).headers.get("content-encoding")).toBe(null);
  });
});

test("the settings have no secret", async () => {
  const secrets = { SLUICE_API_KEY: "secret-key", SLUICE_AUTH_STRING: "me:secret-word" };
  const response = await get("/api/admin/settings", { authorization: "Bearer secret-key" }, secrets);
  const text = await response.text();
  expect(response.status).toBe(200);
  expect(text).not.toContain("secret-key");
  expect(text).not.toContain("secret-word");
});
