/** The route that tells why a run has not started. Prefect has no such route. */
import { route } from "#http/route";
import { explainFlowRun } from "#resources/flow-runs/why/explain-flow-run";
import { Why } from "#resources/flow-runs/why/schema";

export const flowRunWhyRoutes = [
  route(
    {
      method: "GET",
      path: "/flow_runs/{id:uuid}/why",
      summary: "Read why a flow run has not started: the causes, their facts, and what happens next.",
      response: Why,
    },
    ({ params, tools }) => explainFlowRun(tools, params.id),
  ),
];
