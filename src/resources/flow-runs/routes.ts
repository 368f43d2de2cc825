/** The main routes under /flow_runs. Other files have the routes of graphs, inputs, other changes and deletions. */
import { namedStrictObject } from "#wire/named";
import * as z from "zod";
import { sql } from "drizzle-orm";
import { startsOfExpectedSince, startsOfExpectedUntil } from "#db/expected-starts";
import { checkDocuments } from "#db/rows/blocks";
import { FlowRunStore, printFlowRun } from "#db/rows/flow-runs";
import { latenessOf, selectHistory } from "#db/run-estimates";
import { flow_run } from "#db/tables/flow-run";
import { asksForAllFlowRuns, type FilterBody, FilterFields, toFilters, whereClause } from "#filters/joins";
import { FlowRunSort, orderBy } from "#filters/sorts";
import { listRoutes } from "#http/list-routes";
import { embedded, Reply, route } from "#http/route";
import { notFound } from "#lib/api-error";
import { mapPortions } from "#lib/portions";
import { OrchestrationResult, printResult, statusOf } from "#orchestration/result";
import { setFlowRunState } from "#orchestration/set-flow-run-state";
import { countRuns, listRuns } from "#resources/flow-runs/archived-lists";
import { orArchived } from "#resources/flow-runs/archived-reads";
import { createFlowRun } from "#resources/flow-runs/create-flow-run";
import { FlowRunResponse, FlowRunPolicy } from "#wire/runs";
import { narrowed } from "#resources/flow-runs/sorted-page";
import { FlowRunUpdate, updateFlowRun } from "#resources/flow-runs/update-flow-run";
import { explainFlowRun } from "#resources/flow-runs/why/explain-flow-run";
import { Why } from "#resources/flow-runs/why/schema";
import { findQueue } from "#resources/work-pools/pools";
import type { Tools } from "#tools";
import { printDuration } from "#wire/dates";
import {
  endOf,
  HistoryFields,
  HistoryResponse,
  printHistory,
  windowOf,
  type HistoryRow,
  type HistoryWindow,
} from "#wire/history";
import { Uuid } from "#wire/ids";
import { Limit, Offset } from "#wire/paging";
import { Bool, Labels } from "#wire/scalars";
import { ShortText, SizedObject, SizedParameters, Tags } from "#wire/sizes";
import { StateCreate } from "#wire/state";

const store = (tools: Tools) => new FlowRunStore(tools);

async function readFlowRun(tools: Tools, id: string) {
  const row = await store(tools).read(id);
  if (!row) throw notFound("Flow run");
  return row;
}

function countFlowRuns(tools: Tools, body: FilterBody): Promise<number> {
  const filters = toFilters(body);
  if (asksForAllFlowRuns(filters)) return store(tools).countAll();
  return store(tools).count(whereClause("flow_runs", filters, tools.workspaceId));
}

/** A condition on the starts of the runs that were expected in a window. */
const inWindow = (workspaceId: string, window: HistoryWindow) =>
  sql`${startsOfExpectedSince(workspaceId, window.start)} and ${startsOfExpectedUntil(workspaceId, endOf(window))}`;

const FlowRunCreate = namedStrictObject("FlowRunCreate", {
  state: StateCreate.nullish(),
  name: ShortText.nullish(),
  flow_id: Uuid,
  flow_version: ShortText.nullish(),
  parameters: SizedParameters.optional(),
  context: SizedObject.optional(),
  parent_task_run_id: Uuid.nullish(),
  infrastructure_document_id: Uuid.nullish(),
  empirical_policy: FlowRunPolicy.optional(),
  tags: Tags.optional(),
  labels: Labels.nullish(),
  idempotency_key: ShortText.nullish(),
  work_pool_name: ShortText.nullish(),
  work_queue_name: ShortText.nullish(),
  job_variables: SizedObject.nullish(),
  deployment_id: Uuid.nullish(),
});

// Prefect: only the history has the filter of queues under the name `work_queues`.
const { work_pool_queues: work_queues, ...others } = FilterFields;

export const flowRunRoutes = [
  route(
    {
      method: "POST",
      path: "/flow_runs/history",
      summary: "Count flow runs by interval and state.",
      body: embedded({ ...HistoryFields, ...others, work_queues }),
      response: z.array(HistoryResponse),
    },
    async (asked) => {
      const { body, tools } = asked;
      const window = windowOf(body);
      const filters = toFilters({ ...body, work_pool_queues: body.work_queues });
      const where = whereClause("flow_runs", filters, tools.workspaceId);
      const history = selectHistory(
        flow_run,
        sql`${where} and ${inWindow(tools.workspaceId, window)}`,
        window,
        tools.clock(),
      );
      return printHistory(window, await countRuns(asked, "flow_runs", ({ db }) => db.rows<HistoryRow>(history)));
    },
  ),
  route(
    {
      method: "POST",
      path: "/flow_runs/lateness",
      summary: "Read the average lateness of flow runs, in seconds; null where there are none.",
      body: embedded(FilterFields),
      response: z.number().nullable(),
    },
    async (asked) => {
      const { body, tools } = asked;
      const where = whereClause("flow_runs", toFilters(body), tools.workspaceId);
      const lateness = sql`select avg(${latenessOf(flow_run, tools.clock())}) as average from ${flow_run} where ${where}`;
      const [row] = await countRuns(asked, "flow_runs", ({ db }) => db.rows<{ average: number | null }>(lateness));
      return typeof row?.average === "number" ? printDuration(Math.round(row.average)) : null;
    },
  ),
  route(
    {
      method: "POST",
      path: "/flow_runs/",
      summary: "Create a flow run.",
      body: FlowRunCreate,
      status: 201,
      otherStatus: 200,
      response: FlowRunResponse,
      errors: [404, 409],
    },
    async ({ body, tools }) => {
      const { work_pool_name: pool, ...draft } = body;
      await checkDocuments(tools, [body.infrastructure_document_id]);
      const queue = pool ? await findQueue(tools, pool, body.work_queue_name ?? null) : null;
      const { run, created } = await createFlowRun(tools, {
        ...draft,
        work_queue_id: queue?.id ?? null,
        work_queue_name: queue?.name ?? body.work_queue_name ?? null,
        created_by: tools.client.createdBy,
      });
      return new Reply(printFlowRun(run, tools.clock()), created ? 201 : 200);
    },
  ),
  route(
    {
      method: "PATCH",
      path: "/flow_runs/{id:uuid}",
      summary: "Update a flow run.",
      body: FlowRunUpdate,
      status: 204,
      errors: [400],
    },
    ({ params, body, tools }) => updateFlowRun(tools, params.id, body),
  ),
  route(
    { method: "GET", path: "/flow_runs/{id:uuid}", summary: "Read a flow run.", response: FlowRunResponse },
    async ({ params, tools }) => {
      const row = await orArchived(tools, params.id, (own) => readFlowRun(own, params.id));
      return printFlowRun(row, tools.clock());
    },
  ),
  ...listRoutes({
    path: "/flow_runs",
    things: "flow runs",
    body: { limit: Limit, sort: FlowRunSort.default("ID_DESC"), offset: Offset, ...FilterFields },
    item: FlowRunResponse,
    async list(asked, { limit, offset }) {
      const { body, tools } = asked;
      const where = whereClause("flow_runs", toFilters(body), tools.workspaceId);
      const page = narrowed(tools.workspaceId, where, { sort: body.sort, limit, offset });
      const order = orderBy("flow_runs", body.sort);
      const runs = await listRuns(asked, "flow_runs", (own) => store(own).list(page.where, order, limit, page.offset));
      const now = tools.clock();
      return mapPortions(runs, (rows) => rows.map((row) => printFlowRun(row, now)));
    },
    count: (asked) => countRuns(asked, "flow_runs", (own) => countFlowRuns(own, asked.body)),
    paginated: "FlowRunPaginationResponse",
  }),
  route(
    {
      method: "POST",
      path: "/flow_runs/{id:uuid}/set_state",
      summary: "Propose a state for a flow run.",
      body: embedded({ state: StateCreate, force: Bool.default(false) }),
      otherStatus: 201,
      response: OrchestrationResult,
    },
    async ({ params, body, tools }) => {
      const result = await setFlowRunState(tools, params.id, body.state, { force: body.force });
      return new Reply(printResult(result), statusOf(result));
    },
  ),
  // Prefect has no such route.
  route(
    {
      method: "GET",
      path: "/flow_runs/{id:uuid}/why",
      summary: "Read why a flow run has not started: the causes, their facts, and what happens next.",
      response: Why,
    },
    ({ params, tools }) => orArchived(tools, params.id, (own) => explainFlowRun(own, params.id)),
  ),
];
