/** The description of every route in the OpenAPI document. */
import { SELF } from "cloudflare:test";
import { describe as suite, expect, test } from "vitest";
import { describe } from "#describe";
import type { Route } from "#http/route";
import { routes } from "#routes";
import { pathOf } from "../support/routes";

interface Operation {
  operationId: string;
  summary: string;
  requestBody?: unknown;
  parameters: { in: string }[];
  responses: Record<string, { $ref?: string }>;
}

interface Document {
  paths: Record<string, Record<string, Operation>>;
  components: { responses: Record<string, unknown> };
}

const documentOf = (some: readonly Route[]) => describe(some, "0.0.0") as unknown as Document;
const { paths, components } = documentOf(routes);

const operations = Object.entries(paths).flatMap(([path, item]) =>
  Object.entries(item).map(([method, operation]) => [`${method} ${path}`, operation] as const),
);

suite("an operation id", () => {
  test("belongs to one operation", () => {
    const ids = operations.map(([, { operationId }]) => operationId);
    expect(ids.filter((id, index) => ids.indexOf(id) !== index)).toEqual([]);
    expect(ids).toHaveLength(routes.filter((route) => !route.hidden).length);
  });

  test("has letters, digits and underscores only", () => {
    expect(operations.filter(([, { operationId }]) => !/^[a-z0-9]\w*$/.test(operationId))).toEqual([]);
  });

  test("does not depend on the order of the routes", () => {
    const turned = documentOf(routes.toReversed()).paths;
    for (const [path, item] of Object.entries(paths)) {
      for (const [method, { operationId }] of Object.entries(item))
        expect(turned[path]?.[method]?.operationId).toBe(operationId);
    }
  });
});

suite("an operation", () => {
  test.for(operations)("%s has a summary that is a sentence", ([, { summary }]) => {
    expect(summary).toMatch(/^[A-Z].*\.$/);
  });

  test.for(operations)("%s has an answer below 300, and refusals", ([, { responses, requestBody, parameters }]) => {
    const statuses = Object.keys(responses);
    expect(statuses.some((status) => status < "300")).toBe(true);
    expect(statuses).toContain("default");
    const isValidated = requestBody !== undefined || parameters.some((parameter) => parameter.in === "query");
    if (isValidated) expect(statuses).toContain("422");
    if (parameters.some((parameter) => parameter.in === "path")) expect(statuses).toContain("404");
  });

  test.for(operations)("%s names only refusals that the document has", ([, { responses }]) => {
    const named = Object.values(responses).flatMap(({ $ref }) => $ref?.replace("#/components/responses/", "") ?? []);
    expect(named.filter((name) => !(name in components.responses))).toEqual([]);
  });

  const shown = routes.filter((route) => !route.hidden).map((route) => [route.operationId, route] as const);
  test.for(shown)("%s answers with a status that the document has", async ([, route]) => {
    const path = pathOf(route);
    for (const body of ["{}", '{"limit": -1}', "[]"]) {
      const init = route.body === undefined ? { method: route.method } : { method: route.method, body };
      const { status } = await SELF.fetch(`http://sluice/api${path}`, init);
      expect([route.status, route.otherStatus, ...route.errors]).toContain(status);
    }
  });
});
