/** The routes under /flow_run_states. */
import { z } from "zod";
import { route } from "#http/route";
import { notFound } from "#lib/api-error";
import { FlowRunStateStore } from "#resources/flow-run-states/store";
import type { Tools } from "#tools";
import { Uuid } from "#wire/ids";
import { printState, StateText } from "#wire/state";

const store = (tools: Tools) => new FlowRunStateStore(tools.db, tools.workspaceId);

export const flowRunStateRoutes = [
  route(
    {
      method: "GET",
      path: "/flow_run_states/{id:uuid}",
      summary: "Read a state of a flow run.",
      params: z.object({ id: Uuid }),
      response: StateText,
    },
    async ({ params, tools }) => {
      const state = await store(tools).read(params.id);
      if (!state) throw notFound("Flow run state");
      return printState(state);
    },
  ),
  route(
    {
      method: "GET",
      path: "/flow_run_states/",
      summary: "Read the states of a flow run, oldest first.",
      query: z.object({ flow_run_id: Uuid }),
      response: z.array(StateText),
    },
    async ({ query, tools }) => (await store(tools).ofFlowRun(query.flow_run_id)).map(printState),
  ),
];
