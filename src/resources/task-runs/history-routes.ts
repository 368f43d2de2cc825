/** POST /task_runs/history: task runs counted by interval and state. */
import * as z from "zod";
import { type HistoryRow, selectHistory } from "#db/run-history";
import { task_run } from "#db/tables/task-run";
import { readRecorded } from "#events/read-recorded";
import { FilterFields, toFilters } from "#filters/bodies";
import { whereClause } from "#filters/joins";
import { embedded, route } from "#http/route";
import { askedRuns } from "#resources/task-runs/read-task-runs";
import { HistoryFields, HistoryResponse, printHistory, windowOf } from "#wire/history";

const { flows, flow_runs, task_runs, deployments } = FilterFields;

export const taskRunHistoryRoutes = [
  route(
    {
      method: "POST",
      path: "/task_runs/history",
      summary: "Count task runs by interval and state.",
      body: embedded({ ...HistoryFields, flows, flow_runs, task_runs, deployments }),
      response: z.array(HistoryResponse),
    },
    async ({ body, tools }) => {
      const window = windowOf(body);
      const where = whereClause("task_runs", toFilters(body), tools.workspaceId);
      const [rows] = await readRecorded(tools, askedRuns(body), [
        selectHistory(task_run, where, window, tools.clock()),
      ]);
      return printHistory(window, rows as unknown as HistoryRow[]); // the rows of that select
    },
  ),
];
