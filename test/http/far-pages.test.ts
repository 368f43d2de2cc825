/** A page far beyond the last row is refused or empty. It never causes a fault of the server. */
import { beforeAll, describe, expect, test } from "vitest";
import { z } from "zod";
import type { Route } from "#http/route";
import { routes } from "#routes";
import { pathOf } from "../support/routes";
import { aFlowRun, api, sendText } from "../support/world";

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

/** The numbers as texts, because JavaScript would print some of the numbers in another form. */
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
    const path = pathOf(route, { id: queueId, name: POOL });
    test.for(VALUES)("of %s", async (value) => {
      const { status, text } = await sendText(route.method, path, `{"${field}": ${value}}`);
      expect(status).toBeLessThan(500);
      const answer: unknown = JSON.parse(text);
      if (field !== "limit" && status === 200 && Array.isArray(answer)) expect(answer).toEqual([]);
    });
  },
);
