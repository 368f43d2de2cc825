/** The routes under /task_runs. */
import { sql } from "drizzle-orm";
import * as z from "zod";
import { selectHistory } from "#db/run-estimates";
import { task_run } from "#db/tables/task-run";
import { mayStartSince } from "#db/task-run-starts";
import { readRecorded } from "#events/read-recorded";
import { FilterFields, namesTaskRuns, toFilters } from "#filters/joins";
import { TaskRunSort } from "#filters/sorts";
import { listRoutes } from "#http/list-routes";
import { embedded, Reply, route } from "#http/route";
import { socket } from "#http/socket";
import { notFound } from "#lib/api-error";
import { randomName } from "#lib/names";
import { objectName } from "#objects/client";
import { OrchestrationResult, printResult, statusOf } from "#orchestration/result";
import { releaseSlots } from "#orchestration/secure-slots";
import { setTaskRunState } from "#orchestration/set-task-run-state";
import { countRuns, listRuns } from "#resources/flow-runs/archived-lists";
import {
  askedRuns,
  countTaskRuns,
  deleteTaskRun,
  listAndCountTaskRuns,
  listTaskRuns,
  meetsFilters,
  printTaskRun,
  readTaskRun,
  renameTaskRun,
} from "#resources/task-runs/recorded-task-runs";
import { createTaskRun } from "#resources/task-runs/create-task-run";
import { TaskRun, TaskRunCreate, TaskRunUpdate } from "#resources/task-runs/schema";
import { HistoryFields, HistoryResponse, printHistory, windowOf, type HistoryRow } from "#wire/history";
import { Limit, Offset } from "#wire/paging";
import { Bool } from "#wire/scalars";
import { StateCreate } from "#wire/state";

const { flows, flow_runs, task_runs, deployments } = FilterFields;
const TaskRunFilters = { flows, flow_runs, task_runs, deployments };

export const taskRunRoutes = [
  route(
    {
      method: "POST",
      path: "/task_runs/history",
      summary: "Count task runs by interval and state.",
      body: embedded({ ...HistoryFields, ...TaskRunFilters }),
      response: z.array(HistoryResponse),
    },
    async (asked) => {
      const { body, tools } = asked;
      const window = windowOf(body);
      // A condition on ids would hide better indexes.
      const since = namesTaskRuns(toFilters(body)) ? sql`true` : mayStartSince(tools.workspaceId, window.start);
      const where = sql`${meetsFilters(tools, body)} and ${since}`;
      const history = selectHistory(task_run, where, window, tools.clock());
      const [rows] = await countRuns(asked, "task_runs", (own) => readRecorded(own, askedRuns(body), [history]));
      return printHistory(window, rows as unknown as HistoryRow[]); // the rows of that select
    },
  ),
  route(
    {
      method: "POST",
      path: "/task_runs/",
      summary: "Create a task run.",
      body: TaskRunCreate,
      status: 201,
      otherStatus: 200,
      response: TaskRun,
      errors: [409],
    },
    async ({ body, tools }) => {
      const { row, created } = await createTaskRun(tools, body);
      return new Reply(printTaskRun(row, tools.clock()), created ? 201 : 200);
    },
  ),
  route(
    { method: "PATCH", path: "/task_runs/{id:uuid}", summary: "Update a task run.", body: TaskRunUpdate, status: 204 },
    async ({ params, body, tools }) => {
      // Prefect: an empty name gives a new random name. Without a name nothing changes.
      const name = "name" in body ? body.name || randomName(tools.random) : null;
      if (!(await renameTaskRun(tools, params.id, name))) throw notFound("Task run");
    },
  ),
  route(
    { method: "GET", path: "/task_runs/{id:uuid}", summary: "Read a task run.", response: TaskRun },
    async ({ params, tools }) => {
      const row = await readTaskRun(tools, params.id);
      if (!row) throw notFound("Task");
      return printTaskRun(row, tools.clock());
    },
  ),
  route(
    { method: "DELETE", path: "/task_runs/{id:uuid}", summary: "Delete a task run.", status: 204 },
    async ({ params, tools }) => {
      const tags = await deleteTaskRun(tools, params.id);
      if (!tags) throw notFound("Task");
      if (tags.length > 0) await releaseSlots(tools, params.id, [{ kind: "release-tag-slots", tags }]);
    },
  ),
  ...listRoutes({
    path: "/task_runs",
    things: "task runs",
    body: { limit: Limit, sort: TaskRunSort.default("ID_DESC"), offset: Offset, ...TaskRunFilters },
    item: TaskRun,
    list: (asked, part) => listRuns(asked, "task_runs", (own) => listTaskRuns(own, asked.body, part)),
    count: (asked) => countRuns(asked, "task_runs", (own) => countTaskRuns(own, asked.body)),
    paginated: "TaskRunPaginationResponse",
    async listAndCount(asked, part) {
      let count = 0;
      const items = await listRuns(asked, "task_runs", async (own) => {
        const found = await listAndCountTaskRuns(own, asked.body, part);
        count = found.count;
        return found.items;
      });
      return { items, count };
    },
  }),
  route(
    {
      method: "POST",
      path: "/task_runs/{id:uuid}/set_state",
      summary: "Propose a state for a task run.",
      body: embedded({ state: StateCreate, force: Bool.default(false) }),
      otherStatus: 201,
      response: OrchestrationResult,
    },
    async ({ params, body, tools }) => {
      const result = await setTaskRunState(tools, params.id, body.state, { force: body.force });
      return new Reply(printResult(result), statusOf(result));
    },
  ),
];

/** The WebSocket over which task workers get background tasks. */
export const taskRunSockets = [
  socket("/task_runs/subscriptions/scheduled", "scheduled-task-runs", (env, workspaceId) =>
    env.TASK_QUEUE.get(env.TASK_QUEUE.idFromName(objectName(workspaceId))),
  ),
];
