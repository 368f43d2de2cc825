/** Which requests a server accepts, by the host name, the browser's page and the type of the body. */
import { describe, expect, test } from "vitest";
import type { Env } from "#env";
import { sockets } from "#routes";
import { askApp } from "../support/app";
import { aFlow, api, unique } from "../support/world";

interface Asked {
  method?: string;
  headers?: Record<string, string>;
  body?: string;
  settings?: Partial<Env>;
}

/** Sends a request to a local server without additional allowed hosts. */
function ask(url: string, { method = "GET", headers = {}, body, settings = {} }: Asked = {}): Promise<Response> {
  const request = new Request(url, { method, headers, ...(body !== undefined && { body }) });
  return askApp(request, { SLUICE_ALLOWED_HOSTS: "", ...settings });
}

const LOCAL = "http://127.0.0.1:4200";
const JSON_TYPE = { "content-type": "application/json" };
const DEPLOYED = { SLUICE_MODE: "deployed", SLUICE_API_KEY: "secret" };

describe("a local server", () => {
  test.for([
    "127.0.0.1",
    "127.0.0.1:4200",
    "127.8.9.10:80",
    "localhost:4200",
    "LOCALHOST",
    "ui.localhost:3000",
    "[::1]:4200",
    "2130706433",
  ])("answers to %s", async (host) => {
    expect((await ask(`http://${host}/api/health`)).status).toBe(200);
  });

  test.for([
    "sluice",
    "evil.example:4200",
    "localhost.evil.example",
    "127.0.0.1.evil.example",
    "notlocalhost",
    "192.168.1.5:4200",
    "128.0.0.1",
    "[::2]:4200",
    "0.0.0.0:4200",
  ])("refuses the host %s for any request", async (host) => {
    for (const path of [
      "/api/health",
      "/api/flows/filter",
      "/api/openapi.json",
      "/local/cost",
      "/nowhere",
      "/api/events/in",
    ]) {
      for (const method of ["GET", "POST", "OPTIONS"]) {
        const response = await ask(`http://${host}${path}`, { method, headers: { upgrade: "websocket" } });
        expect(response.status, `${method} ${path}`).toBe(403);
        expect(await response.json()).toEqual({ detail: expect.stringContaining("SLUICE_ALLOWED_HOSTS") });
      }
    }
  });

  test.for([
    ["sluice.lan", "http://sluice.lan:4200", 200],
    ["a.example, SLUICE.lan:80", "http://sluice.lan", 200],
    ["192.168.1.5", "http://192.168.1.5:4200", 200],
    ["fd00::5", "http://[fd00::5]:4200", 200],
    ["[fd00::5]", "http://[fd00::5]:4200", 200],
    ["sluice.lan", "http://other.lan", 403],
    ["sluice.lan", "http://127.0.0.1", 200],
  ] as const)("with the allowed hosts %s answers %s with %d", async ([hosts, url, status]) => {
    const response = await ask(`${url}/api/health`, { settings: { SLUICE_ALLOWED_HOSTS: hosts } });
    expect(response.status).toBe(status);
  });

  test("answers no request if the allowed hosts cannot be parsed", async () => {
    const settings = { SLUICE_ALLOWED_HOSTS: "http://sluice.lan" };
    expect((await ask(`${LOCAL}/api/health`, { settings })).status).toBe(500);
  });
});

test("a deployed Worker answers for every host name", async () => {
  expect((await ask("https://sluice.example/api/health", { settings: DEPLOYED })).status).toBe(200);
});

/** The headers with which a browser names the page of a request. */
const PAGES: readonly [string, Record<string, string>, "local" | "foreign"][] = [
  ["a program", {}, "local"],
  ["Node's fetch", { "sec-fetch-mode": "cors" }, "local"],
  ["the server's own page", { origin: LOCAL, "sec-fetch-site": "same-origin" }, "local"],
  ["a page of this machine", { origin: "http://localhost:3000", "sec-fetch-site": "cross-site" }, "local"],
  ["a page of this machine with TLS", { origin: "https://ui.localhost" }, "local"],
  ["a page of another site", { origin: "https://evil.example", "sec-fetch-site": "cross-site" }, "foreign"],
  ["a page that says nothing but that it is foreign", { "sec-fetch-site": "cross-site" }, "foreign"],
  ["a page without an origin", { origin: "null" }, "foreign"],
  ["a file", { origin: "file://localhost" }, "foreign"],
  ["a page that is nearly of this machine", { origin: "http://localhost.evil.example" }, "foreign"],
  ["an invalid origin", { origin: "127.0.0.1" }, "foreign"],
];
const CHANGES: readonly [string, string, string | undefined][] = [
  ["POST", "/flows/", '{"name": "of-a-page"}'],
  ["POST", "/flows/filter", "{}"],
  ["POST", `/deployments/${crypto.randomUUID()}/pause_deployment`, undefined],
  ["PATCH", `/flow_runs/${crypto.randomUUID()}`, "{}"],
  ["PUT", "/concurrency_limits/tag", "{}"],
  ["DELETE", "/variables/name/x", undefined],
  ["POST", "/nowhere", undefined],
];

describe.for(PAGES)("%s", ([, headers, kind]) => {
  test.for(CHANGES)(`is ${kind === "local" ? "let in" : "refused"} with %s %s`, async ([method, path, body]) => {
    const response = await ask(`${LOCAL}/api${path}`, {
      method,
      headers: { ...JSON_TYPE, ...headers },
      ...(body !== undefined && { body }),
    });
    if (kind === "local") return expect(response.status).not.toBe(403);
    expect(response.status).toBe(403);
    expect(await response.json()).toEqual({ detail: expect.stringContaining("PREFECT_SERVER_CORS_ALLOWED_ORIGINS") });
  });

  test.for(sockets.map(({ path }) => path))(`${kind === "local" ? "opens" : "does not open"} %s`, async (path) => {
    const url = `${LOCAL}/api${path.replaceAll(/\{\w+(:uuid)?\}/g, "a-pool")}`;
    const upgrade = { upgrade: "websocket", "sec-websocket-protocol": "prefect" };
    const response = await ask(url, { headers: { ...upgrade, ...headers } });
    if (kind === "local") expect(response.status).toBe(101);
    else expect([response.status, response.webSocket ?? null]).toEqual([403, null]);
    response.webSocket?.accept();
    response.webSocket?.close();
  });

  test("gets an answer to a read, and the CORS headers say whether the browser may show the answer to the page", async () => {
    const response = await ask(`${LOCAL}/api/health`, { headers });
    expect(response.status).toBe(200);
    const allowed = kind === "local" ? (headers["origin"] ?? null) : null;
    expect(response.headers.get("access-control-allow-origin")).toBe(allowed);
  });
});

test("the requests of a refused page change nothing", async () => {
  const name = unique("of-a-page");
  const headers = { origin: "https://evil.example", "content-type": "text/plain" };
  await ask(`${LOCAL}/api/flows/`, { method: "POST", headers, body: JSON.stringify({ name }) });
  expect((await api("GET", `/flows/name/${name}`)).status).toBe(404);
  const flow = await aFlow();
  await ask(`${LOCAL}/api/flows/${flow}`, { method: "DELETE", headers: { origin: "null" } });
  expect((await api("GET", `/flows/${flow}`)).status).toBe(200);
});

describe("allowed pages", () => {
  const settings = { PREFECT_SERVER_CORS_ALLOWED_ORIGINS: "https://ui.example" };
  const origins = [
    ["https://ui.example", 200, 200],
    ["https://evil.example", 403, 403],
    ["http://localhost:3000", 200, 403],
    ["https://sluice.example", 403, 200],
  ] as const;
  test.for(origins)("get answers, and other pages do not: %s", async ([origin, local, deployed]) => {
    const headers = { ...JSON_TYPE, origin, authorization: "Bearer secret" };
    const asked = { method: "POST", headers, body: "{}" };
    expect((await ask(`${LOCAL}/api/flows/filter`, { ...asked, settings })).status).toBe(local);
    const there = await ask("https://sluice.example/api/flows/filter", {
      ...asked,
      settings: { ...DEPLOYED, ...settings },
    });
    expect(there.status).toBe(deployed);
  });

  test("can be all pages", async () => {
    const all = { PREFECT_SERVER_CORS_ALLOWED_ORIGINS: "*" };
    const asked = { method: "POST", headers: { ...JSON_TYPE, origin: "https://evil.example" }, body: "{}" };
    expect((await ask(`${LOCAL}/api/flows/filter`, { ...asked, settings: all })).status).toBe(200);
  });
});

describe("a body that a page sends", () => {
  const page = { origin: "http://localhost:3000" };
  test.for([
    ["application/json", 200],
    ["application/json; charset=utf-8", 200],
    ["text/plain", 415],
    ["text/plain;charset=application/json", 415],
    ["application/x-www-form-urlencoded", 415],
    ["multipart/form-data; boundary=a", 415],
    [null, 415],
  ] as const)("as %s: %d", async ([type, status]) => {
    const body = new Blob(["{}"]).stream();
    const headers = { ...page, ...(type !== null && { "content-type": type }) };
    const request = new Request(`${LOCAL}/api/flows/filter`, { method: "POST", headers, body });
    expect((await askApp(request)).status).toBe(status);
  });

  test("can be missing", async () => {
    const path = `/api/deployments/${crypto.randomUUID()}/pause_deployment`;
    for (const headers of [page, { ...page, "content-length": "0" }])
      expect((await ask(`${LOCAL}${path}`, { method: "POST", headers })).status).toBe(404);
  });
});

test("a program can send JSON without a content-type, as clients before 3.6.19 do", async () => {
  const request = new Request(`${LOCAL}/api/flows/filter`, { method: "POST", body: new Blob(["{}"]).stream() });
  expect((await askApp(request)).status).toBe(200);
});
