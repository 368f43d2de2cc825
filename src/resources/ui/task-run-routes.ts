/** The routes under /ui/task_runs: numbers of task runs, and a task run with the name of its flow run. */
import type { SQL } from "drizzle-orm";
import * as z from "zod";
import type { TaskRunRow } from "#db/rows/task-runs";
import { readRecorded } from "#events/read-recorded";
import { FilterFields, toFilters } from "#filters/joins";
import { embedded, route } from "#http/route";
import { notFound } from "#lib/api-error";
import { countRuns } from "#resources/flow-runs/archived-lists";
import { askedRuns, printTaskRun, readTaskRunWith } from "#resources/task-runs/recorded-task-runs";
import { TaskRun } from "#resources/task-runs/schema";
import { type BucketRow, bucketsOf, onlyEnded, printBuckets } from "#resources/ui/dashboard";
import { CountByState, TaskRunCount } from "#resources/ui/schema";
import { selectCountsByState, selectDashboardCounts, withFlowRunName } from "#resources/ui/task-run-store";
import { STATE_TYPES } from "#wire/state";

const { flows, flow_runs, task_runs, deployments, work_pools, work_pool_queues: work_queues } = FilterFields;

const UITaskRun = TaskRun.extend({ flow_run_name: z.string().nullable() }).meta({ id: "UITaskRun" });

type Asked = Parameters<typeof countRuns>[0];

/** The rows of a select that counts task runs, after the reports about the named runs are recorded. */
async function countsOf(asked: Asked, select: SQL) {
  const [rows = []] = await countRuns(asked, "task_runs", (own) => readRecorded(own, askedRuns(asked.body), [select]));
  return rows;
}

export const uiTaskRunRoutes = [
  route(
    {
      method: "POST",
      path: "/ui/task_runs/dashboard/counts",
      summary: "Count the ended task runs by the time of their start, in twenty buckets.",
      body: embedded({
        task_runs: task_runs.unwrap().unwrap(),
        flows,
        flow_runs,
        deployments,
        work_pools,
        work_queues,
      }),
      response: z.array(TaskRunCount),
    },
    async (asked) => {
      const { work_queues: queues, ...given } = asked.body;
      const { tools } = asked;
      const body = onlyEnded({ ...given, work_pool_queues: queues });
      const buckets = bucketsOf(body, tools.clock());
      const select = selectDashboardCounts(toFilters(body), tools.workspaceId, buckets);
      return printBuckets(
        (await countsOf({ ...asked, body }, select)) as unknown as BucketRow[] /* The rows of that select. */,
      );
    },
  ),
  route(
    {
      method: "POST",
      path: "/ui/task_runs/count",
      summary: "Count task runs by the types of their states.",
      body: embedded({ flows, flow_runs, task_runs, deployments }),
      response: CountByState,
    },
    async (asked) => {
      const { body, tools } = asked;
      const rows = await countsOf(asked, selectCountsByState(toFilters(body), tools.workspaceId));
      const counts = new Map(rows.map(({ state_type, count }) => [state_type, count]));
      return Object.fromEntries(STATE_TYPES.map((type) => [type, counts.get(type) ?? 0]));
    },
  ),
  route(
    {
      method: "GET",
      path: "/ui/task_runs/{id:uuid}",
      summary: "Read a task run with the name of its flow run.",
      response: UITaskRun,
    },
    async ({ params, tools }) => {
      const columns = withFlowRunName(tools.workspaceId);
      const row = await readTaskRunWith<TaskRunRow & { flow_run_name: string | null }>(tools, params.id, columns);
      if (!row) throw notFound("Task");
      return { ...printTaskRun(row, tools.clock()), flow_run_name: row.flow_run_name };
    },
  ),
];
