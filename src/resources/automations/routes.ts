/** The routes of automations that clients call although this server has no automations. */
import * as z from "zod";
import { listRoutes } from "#http/list-routes";
import { route } from "#http/route";
import { ApiError } from "#lib/api-error";
import { whole } from "#lib/portions";
import { templateProblem } from "#lib/template";
import { AutomationFilter, AutomationSort } from "#resources/automations/schema";
import { Limit, Offset } from "#wire/paging";
import { LongText } from "#wire/sizes";

/** Prefect has two paths. */
const validateRoutes = ["/templates/validate", "/automations/templates/validate"].map((path) =>
  route(
    {
      method: "POST",
      path,
      summary: "Check the syntax of a template.",
      body: LongText.default(""),
      status: 204,
      // Prefect: its document has 200, and its server answers 204.
      otherStatus: 200,
    },
    ({ body: source }) => {
      const problem = templateProblem(source);
      if (problem) throw new ApiError(422, { error: { ...problem, source } });
    },
  ),
);

export const automationRoutes = [
  ...validateRoutes,
  // `prefect transfer` reads all automations of the server from which it copies.
  ...listRoutes({
    path: "/automations",
    things: "automations",
    body: {
      limit: Limit,
      offset: Offset,
      automations: AutomationFilter.nullish(),
      sort: AutomationSort.default("NAME_ASC"),
    },
    item: z.unknown(),
    list: async () => whole([]),
    count: async () => 0,
  }),
  route(
    {
      method: "GET",
      path: "/automations/related-to/{resource_id}",
      summary: "Read the automations that are related to a resource.",
      response: z.array(z.unknown()),
    },
    // This server has no automations. `prefect deployment inspect` asks for them.
    () => [],
  ),
];
