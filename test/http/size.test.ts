/**
 * A path, query or body that is too large for the platform, or that cannot be parsed, never causes a fault of the
 * server.
 */
import { describe, expect, test } from "vitest";
import type { Route } from "#http/route";
import { routes } from "#routes";
import { askApp } from "../support/app";
import { pathOf, titled } from "../support/routes";

const SEGMENTS = [
  "%00",
  "a%00b",
  "%",
  "%zz",
  "%ff",
  "%ed%a0%80",
  "%c3%28",
  "%2e%2e%2f",
  "%F0%9F%98%80",
  "%25",
  "'%22;--",
  "x".repeat(100_000),
  "%00".repeat(30_000),
];

async function statusOf(method: string, path: string, body?: string): Promise<number> {
  const request = new Request(`http://sluice/api${path}`, {
    method,
    headers: { "content-type": "application/json" },
    ...(body !== undefined && { body }),
  });
  const response = await askApp(request);
  await response.text();
  return response.status;
}

const takesBody = (route: Route) => route.method !== "GET" && route.method !== "DELETE";

describe("a name in a path", () => {
  test.for(titled(routes.filter((route) => /\{\w+\}/.test(route.path))))(
    "never causes a fault of the server: %s",
    async ([, route]) => {
      for (const segment of SEGMENTS) {
        const path = pathOf(route, { name: segment });
        const status = await statusOf(route.method, path, takesBody(route) ? "{}" : undefined);
        expect([segment.slice(0, 20), status < 500]).toEqual([segment.slice(0, 20), true]);
      }
    },
  );
});

describe("a query", () => {
  const queries = [
    "%00=%ff",
    "limit=%00",
    "a=%",
    "&&==&",
    `a=${"x".repeat(100_000)}`,
    "page-token=%00",
    "a&".repeat(20_000),
    Array.from({ length: 5000 }, (_, index) => `name-${index}`).join("&"),
  ];
  test.for(titled(routes))("never causes a fault of the server: %s", async ([, route]) => {
    const path = pathOf(route);
    const names = route.query ? Object.keys((route.query as { shape?: object }).shape ?? {}) : [];
    const own = names.flatMap((name) =>
      ["%00", "%ff", "\ud800", "-1", "9".repeat(400), "x".repeat(100_000)].map((v) => `${name}=${v}`),
    );
    for (const query of [...queries, ...own]) {
      const status = await statusOf(route.method, `${path}?${query}`, takesBody(route) ? "{}" : undefined);
      expect([query.slice(0, 30), status < 500 || (status === 503 && path === "/ready")]).toEqual([
        query.slice(0, 30),
        true,
      ]);
    }
  });
});

test("a name that occurs several times in a query is a list", async () => {
  const request = new Request("http://sluice/api/csrf-token?client=a&client=b&client=c&other=d");
  const response = await askApp(request);
  expect(response.status).toBe(422);
  const { exception_detail: details } = await response.json<{ exception_detail: { input: unknown }[] }>();
  expect(details.map(({ input }) => input)).toEqual([["a", "b", "c"]]);
});
