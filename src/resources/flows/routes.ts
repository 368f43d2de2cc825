/** The routes under /flows. */
import type { NamedKey } from "#db/named-store";
import { type FilterBody, FilterFields, toFilters, whereClause } from "#filters/joins";
import { FlowSort, orderBy } from "#filters/sorts";
import { listRoutes } from "#http/list-routes";
import { embedded, Reply, route } from "#http/route";
import { notFound } from "#lib/api-error";
import { mapPortions } from "#lib/portions";
import { Flow, FlowBulkDeleteResponse, FlowCreate, FlowUpdate } from "#resources/flows/schema";
import { flows, FlowStore } from "#resources/flows/store";
import { createFlow, deleteFlow, deleteFlows, updateFlow } from "#resources/flows/write-flow";
import type { Tools } from "#tools";
import { BulkLimit, Limit, Offset } from "#wire/paging";

const { flow_runs, task_runs, deployments, work_pools } = FilterFields;
const FlowFilters = { flows: FilterFields.flows, flow_runs, task_runs, deployments, work_pools };
const store = (tools: Tools) => new FlowStore(tools);

async function read(key: NamedKey, tools: Tools) {
  const row = await store(tools).read(key);
  if (!row) throw notFound("Flow");
  return flows.print(row);
}

const where = (tools: Tools, body: FilterBody) => whereClause("flows", toFilters(body), tools.workspaceId);

export const flowRoutes = [
  route(
    {
      method: "POST",
      path: "/flows/",
      summary: "Create a flow, or read the one of that name.",
      body: FlowCreate,
      status: 201,
      otherStatus: 200,
      response: Flow,
    },
    async ({ body, tools }) => {
      const { row, created } = await createFlow(tools, body);
      return new Reply(flows.print(row), created ? 201 : 200);
    },
  ),
  route(
    { method: "GET", path: "/flows/name/{name}", summary: "Read a flow by its name.", response: Flow },
    ({ params, tools }) => read(params, tools),
  ),
  route({ method: "GET", path: "/flows/{id:uuid}", summary: "Read a flow.", response: Flow }, ({ params, tools }) =>
    read(params, tools),
  ),
  route(
    { method: "PATCH", path: "/flows/{id:uuid}", summary: "Update a flow.", body: FlowUpdate, status: 204 },
    ({ params, body, tools }) => updateFlow(tools, params.id, body),
  ),
  route(
    { method: "DELETE", path: "/flows/{id:uuid}", summary: "Delete a flow with all that belongs to it.", status: 204 },
    ({ params, tools }) => deleteFlow(tools, params.id),
  ),
  ...listRoutes({
    path: "/flows",
    things: "flows",
    body: { limit: Limit, offset: Offset, ...FlowFilters, sort: FlowSort.default("NAME_ASC") },
    item: Flow,
    async list({ body, tools }, { limit, offset }) {
      const rows = await store(tools).list(where(tools, body), orderBy("flows", body.sort), limit, offset);
      return mapPortions(rows, (some) => some.map(flows.print));
    },
    count: ({ body, tools }) => store(tools).count(where(tools, body)),
    paginated: "FlowPaginationResponse",
  }),
  route(
    {
      method: "POST",
      path: "/flows/bulk_delete",
      summary: "Delete the flows that a filter finds.",
      body: embedded({ flows: FilterFields.flows, limit: BulkLimit }),
      response: FlowBulkDeleteResponse,
    },
    async ({ body, tools }) => {
      const rows = await store(tools).list(where(tools, body), orderBy("flows", "NAME_ASC"), body.limit, 0);
      const deleted: string[] = [];
      for (const portion of rows) deleted.push(...(await deleteFlows(tools, await portion())));
      return { deleted };
    },
  ),
];
