/** The route that says why a run has not started. Prefect has no such route. */
import { z } from "zod";
import { route } from "#http/route";
import { explainFlowRun } from "#resources/flow-runs/why";
import { Why } from "#resources/flow-runs/why-schema";
import { Uuid } from "#wire/ids";

export const flowRunWhyRoutes = [
  route(
    {
      method: "GET",
      path: "/flow_runs/{id:uuid}/why",
      summary: "Read why a flow run has not started: the causes, their facts, and what happens next.",
      params: z.object({ id: Uuid }),
      response: Why,
    },
    ({ params, tools }) => explainFlowRun(tools, params.id),
  ),
];
