/** A page that lies further off than anything can be is refused or empty; it breaks nothing. */
import { SELF } from "cloudflare:test";
import { beforeAll, describe, expect, test } from "vitest";
import { z } from "zod";
import type { Route } from "#http/route";
import { routes } from "#routes";
import { aFlowRun, api } from "../support/world";

const POOL = "far-pool";
let queueId = "";

beforeAll(async () => {
  await aFlowRun();
  const { body } = await api<{ default_queue_id: string }>("POST", "/work_pools/", {
    name: POOL,
    type: "process",
    concurrency_limit: 2,
  });
  queueId = body.default_queue_id;
});

const bodyOf = (route: Route) => (route.body instanceof z.ZodObject ? Object.keys(route.body.shape) : []);
const far = routes.flatMap((route) =>
  ["offset", "page", "limit"].filter((field) => bodyOf(route).includes(field)).map((field) => [route, field] as const),
);

/** As they stand in the text of a request, for JavaScript would print some of them otherwise. */
const VALUES = [
  "-1",
  "1000000000000000",
  "9007199254740991",
  "9007199254740993",
  "9223372036854775808",
  "1e308",
  "0.5",
];

describe.for(far.map(([route, field]) => [`${route.method} ${route.path}`, field, route] as const))(
  "%s with a far %s",
  ([, field, route]) => {
    const path = route.path.replaceAll(/\{\w+:uuid\}/g, () => queueId).replaceAll(/\{\w+\}/g, POOL);
    test.for(VALUES)("of %s", async (value) => {
      const response = await SELF.fetch(`http://sluice/api${path}`, {
        method: route.method,
        headers: { "content-type": "application/json" },
        body: `{"${field}": ${value}}`,
      });
      expect(response.status).toBeLessThan(500);
      const answer: unknown = await response.json();
      if (field !== "limit" && response.status === 200 && Array.isArray(answer)) expect(answer).toEqual([]);
    });
  },
);
