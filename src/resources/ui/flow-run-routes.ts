/** The routes under /ui/flow_runs: charts and numbers of flow runs. */
import * as z from "zod";
import { readRecorded } from "#events/read-recorded";
import { FilterFields, toFilters, whereClause } from "#filters/joins";
import { FlowRunSort } from "#filters/sorts";
import { embedded, route } from "#http/route";
import { countRuns } from "#resources/flow-runs/archived-lists";
import { type HistoryRun, selectHistoryRuns, selectTaskRunCounts } from "#resources/ui/flow-run-store";
import { CountById, NamedIds, SimpleFlowRun } from "#resources/ui/schema";
import { namedFlowRuns } from "#resources/ui/named-runs";
import { printDuration, printTime } from "#wire/dates";
import { Offset } from "#wire/paging";
import { intFrom } from "#wire/scalars";

/** How many runs a history has: the default and the maximum. */
const MAX_HISTORY = 1_000;
const HistoryLimit = intFrom(0).pipe(z.number().max(MAX_HISTORY)).default(MAX_HISTORY);

const { flows, flow_runs, task_runs, deployments, work_pools } = FilterFields;

export const uiFlowRunRoutes = [
  route(
    {
      method: "POST",
      path: "/ui/flow_runs/history",
      summary: "Read the states and times of flow runs, for a chart.",
      body: embedded({
        sort: FlowRunSort.default("EXPECTED_START_TIME_DESC"),
        limit: HistoryLimit,
        offset: Offset,
        flows,
        flow_runs,
        task_runs,
        deployments,
        work_pools,
      }),
      response: z.array(SimpleFlowRun),
    },
    async (asked) => {
      const { body, tools } = asked;
      const where = whereClause("flow_runs", toFilters(body), tools.workspaceId);
      const select = selectHistoryRuns(tools.workspaceId, where, body, tools.clock());
      const runs = await countRuns(asked, "flow_runs", ({ db }) => db.rows<HistoryRun>(select));
      return runs.map((run) => ({
        id: run.id,
        state_type: run.state_type,
        timestamp: printTime(run.timestamp),
        duration: printDuration(run.duration),
        lateness: printDuration(run.lateness),
      }));
    },
  ),
  route(
    {
      method: "POST",
      path: "/ui/flow_runs/count-task-runs",
      summary: "Count the task runs of flow runs, by the ids of the flow runs.",
      body: embedded({ flow_run_ids: NamedIds }),
      response: CountById,
    },
    async (asked) => {
      const { flow_run_ids: ids } = asked.body;
      const select = selectTaskRunCounts(asked.tools.workspaceId, ids);
      const [rows = []] = await countRuns({ ...asked, body: namedFlowRuns(ids) }, "task_runs", (own) =>
        readRecorded(own, { flowRunIds: ids }, [select]),
      );
      const counts = new Map(rows.map(({ id, count }) => [id, Number(count)]));
      return Object.fromEntries(ids.map((id) => [id, counts.get(id) ?? 0]));
    },
  ),
];
