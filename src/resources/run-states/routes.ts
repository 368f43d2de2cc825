/** The routes under /flow_run_states and /task_run_states. */
import * as z from "zod";
import { Listing } from "#http/listing";
import { route } from "#http/route";
import { notFound } from "#lib/api-error";
import { mapPortions } from "#lib/portions";
import {
  readFlowRunState,
  readFlowRunStates,
  readTaskRunState,
  readTaskRunStates,
} from "#resources/run-states/read-states";
import { Uuid } from "#wire/ids";
import { printState, type State, StateText } from "#wire/state";

export const runStateRoutes = [
  route(
    {
      method: "GET",
      path: "/flow_run_states/{id:uuid}",
      summary: "Read a state of a flow run.",
      response: StateText,
    },
    async ({ params, tools }) => shown(await readFlowRunState(tools, params.id)),
  ),
  route(
    {
      method: "GET",
      path: "/flow_run_states/",
      summary: "Read the states of a flow run, oldest first.",
      query: z.object({ flow_run_id: Uuid }),
      response: z.array(StateText),
    },
    async ({ query, tools }) => {
      const states = await readFlowRunStates(tools, query.flow_run_id);
      return new Listing(mapPortions(states, (some) => some.map(printState)));
    },
  ),
  route(
    {
      method: "GET",
      path: "/task_run_states/{id:uuid}",
      summary: "Read a state of a task run.",
      response: StateText,
    },
    async ({ params, tools }) => shown(await readTaskRunState(tools, params.id)),
  ),
  route(
    {
      method: "GET",
      path: "/task_run_states/",
      summary: "Read the states of a task run, oldest first.",
      query: z.object({ task_run_id: Uuid }),
      response: z.array(StateText),
    },
    async ({ query, tools }) => (await readTaskRunStates(tools, query.task_run_id)).map(printState),
  ),
];

function shown(state: State | undefined): StateText {
  // Prefect: it says "Flow run state" of task runs' states too.
  if (!state) throw notFound("Flow run state");
  return printState(state);
}
