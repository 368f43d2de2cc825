/** The routes under /variables. */
import type { NamedKey } from "#db/named-store";
import { newColumns } from "#db/workspace-store";
import * as z from "zod";
import { type Action, changeEvent } from "#events/change-event";
import { emitEvents } from "#events/emit";
import { conflict, refused } from "#lib/api-error";
import { mapPortions } from "#lib/portions";
import { type Filters, whereClause } from "#filters/joins";
import { orderBy, VariableSort } from "#filters/sorts";
import { variableFilter } from "#filters/criteria";
import { listRoutes } from "#http/list-routes";
import { route } from "#http/route";
import { type VariableRow, variables, VariableStore } from "#resources/variables/store";
import { Variable, VariableCreate, VariableUpdate } from "#resources/variables/schema";
import type { Tools } from "#tools";
import { Uuid } from "#wire/ids";
import { Limit, Offset } from "#wire/paging";

const store = (tools: Tools) => new VariableStore(tools);
const where = (tools: Tools, { variables }: Pick<Filters, "variables">) =>
  whereClause("variables", { variables }, tools.workspaceId);
const missing = () => refused(404, "Variable not found.");

async function read(key: NamedKey, tools: Tools) {
  const row = await store(tools).read(key);
  if (!row) throw missing();
  return variables.print(row);
}

/** Emits the event of a change after the reply. */
function tell(action: Action, row: VariableRow, tools: Tools) {
  const { name, tags, value } = variables.print(row);
  const event = changeEvent(tools, "variable", action, row, { payload: { name, tags, value } });
  tools.background(emitEvents(tools, [event]));
}

async function update(key: NamedKey, body: z.output<typeof VariableUpdate>, tools: Tools) {
  const changed = await store(tools).update(key, { updated: tools.clock(), ...variables.changes(body) });
  if (!changed) throw missing();
  tell("updated", changed, tools);
}

async function remove(key: NamedKey, tools: Tools) {
  const removed = await store(tools).remove(key);
  if (!removed) throw missing();
  tell("deleted", removed, tools);
}

/** The routes of one variable. The path has the variable's id or its name. */
const one = <P extends z.ZodType<NamedKey>>(path: string, by: string, params: P) => [
  route({ method: "GET", path, summary: `Read a variable${by}.`, params, response: Variable }, ({ params, tools }) =>
    read(params, tools),
  ),
  route(
    {
      method: "PATCH",
      path,
      summary: `Update a variable${by}.`,
      params,
      body: VariableUpdate,
      status: 204,
      errors: [409],
    },
    ({ params, body, tools }) => update(params, body, tools),
  ),
  route({ method: "DELETE", path, summary: `Delete a variable${by}.`, params, status: 204 }, ({ params, tools }) =>
    remove(params, tools),
  ),
];

export const variableRoutes = [
  route(
    {
      method: "POST",
      path: "/variables/",
      summary: "Create a variable.",
      body: VariableCreate,
      status: 201,
      response: Variable,
      errors: [409],
    },
    async ({ body, tools }) => {
      const row = variables.blank({ ...body, ...newColumns(tools) });
      if (!(await store(tools).insert(row))) throw conflict(`A variable with the name '${body.name}' already exists.`);
      tell("created", row, tools);
      return variables.print(row);
    },
  ),
  ...listRoutes({
    path: "/variables",
    things: "variables",
    body: { limit: Limit, offset: Offset, variables: variableFilter.field, sort: VariableSort.default("NAME_ASC") },
    item: Variable,
    async list({ body, tools }, { limit, offset }) {
      const rows = await store(tools).list(where(tools, body), orderBy("variables", body.sort), limit, offset);
      return mapPortions(rows, (some) => some.map(variables.print));
    },
    count: ({ body, tools }) => store(tools).count(where(tools, body)),
  }),
  ...one("/variables/{id:uuid}", "", z.object({ id: Uuid })),
  ...one("/variables/name/{name}", " by its name", z.object({ name: z.string() })),
];
