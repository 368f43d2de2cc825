/** The routes under /task_run_states. */
import { z } from "zod";
import { route } from "#http/route";
import { notFound } from "#lib/api-error";
import { TaskRunStateStore } from "#resources/task-run-states/store";
import type { Tools } from "#tools";
import { Uuid } from "#wire/ids";
import { printState, StateText } from "#wire/state";

const store = (tools: Tools) => new TaskRunStateStore(tools.db, tools.workspaceId);

export const taskRunStateRoutes = [
  route(
    {
      method: "GET",
      path: "/task_run_states/{id:uuid}",
      summary: "Read a state of a task run.",
      params: z.object({ id: Uuid }),
      response: StateText,
    },
    async ({ params, tools }) => {
      const state = await store(tools).read(params.id);
      // Prefect: it says "Flow run state" here too.
      if (!state) throw notFound("Flow run state");
      return printState(state);
    },
  ),
  route(
    {
      method: "GET",
      path: "/task_run_states/",
      summary: "Read the states of a task run, oldest first.",
      query: z.object({ task_run_id: Uuid }),
      response: z.array(StateText),
    },
    async ({ query, tools }) => (await store(tools).ofTaskRun(query.task_run_id)).map(printState),
  ),
];
