/** The routes under /flow_run_states and /task_run_states. */
import * as z from "zod";
import { readStates } from "#db/task-run-states";
import { readRecorded } from "#events/read-recorded";
import { Listing } from "#http/listing";
import { route } from "#http/route";
import { notFound } from "#lib/api-error";
import { mapPortions } from "#lib/portions";
import { FlowRunStateStore } from "#resources/run-states/flow-run-states";
import { TaskRunStateStore } from "#resources/run-states/task-run-states";
import type { Tools } from "#tools";
import { Uuid } from "#wire/ids";
import { printState, type State, StateText } from "#wire/state";

const flowRunStates = (tools: Tools) => new FlowRunStateStore(tools);
const taskRunStates = (tools: Tools) => new TaskRunStateStore(tools);

export const runStateRoutes = [
  route(
    {
      method: "GET",
      path: "/flow_run_states/{id:uuid}",
      summary: "Read a state of a flow run.",
      response: StateText,
    },
    async ({ params, tools }) => shown(await flowRunStates(tools).read(params.id)),
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
      const states = await flowRunStates(tools).ofFlowRun(query.flow_run_id);
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
    async ({ params, tools }) => shown(await taskRunStates(tools).read(params.id)),
  ),
  route(
    {
      method: "GET",
      path: "/task_run_states/",
      summary: "Read the states of a task run, oldest first.",
      query: z.object({ task_run_id: Uuid }),
      response: z.array(StateText),
    },
    async ({ query, tools }) => {
      const states = taskRunStates(tools).selectOfTaskRun(query.task_run_id);
      const [rows = []] = await readRecorded(tools, { taskRunIds: [query.task_run_id] }, [states]);
      return rows
        .flatMap(({ states }) => readStates(String(states)))
        .toSorted((a, b) => a.timestamp - b.timestamp)
        .map(printState);
    },
  ),
];

function shown(state: State | undefined): StateText {
  // Prefect: it says "Flow run state" of task runs' states too.
  if (!state) throw notFound("Flow run state");
  return printState(state);
}
