/** The routes under /automations that clients ask whether or not there are any. */
import { z } from "zod";
import { route } from "#http/route";

export const automationRoutes = [
  route(
    {
      method: "GET",
      path: "/automations/related-to/{resource_id}",
      summary: "Read the automations that have to do with a resource.",
      params: z.object({ resource_id: z.string() }),
      response: z.array(z.unknown()),
    },
    // This server has no automations so far, so none has to do with anything. `prefect deployment inspect` asks.
    () => [],
  ),
];
