/** The route under /automations that clients call although this server has no automations. */
import * as z from "zod";
import { route } from "#http/route";

export const automationRoutes = [
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
