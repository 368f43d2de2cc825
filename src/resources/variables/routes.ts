/** The routes under /variables. */
import { z } from "zod";
import { emitEvents } from "#events/emit";
import { conflict, refused } from "#lib/api-error";
import { mapPortions } from "#lib/portions";
import { whereClause } from "#filters/joins";
import { orderBy, VariableSort } from "#filters/sorts";
import { VariableFilter } from "#filters/variables";
import { Listing } from "#http/listing";
import { embedded, route } from "#http/route";
import { variableEvent } from "#resources/variables/events";
import { printVariable, type VariableKey, type VariableRow, VariableStore } from "#resources/variables/store";
import { Variable, VariableCreate, VariableUpdate } from "#resources/variables/schema";
import type { Tools } from "#tools";
import { Uuid } from "#wire/ids";
import { checkLimit, Limit, Offset } from "#wire/paging";

const ById = z.object({ id: Uuid });
const ByName = z.object({ name: z.string() });

const store = (tools: Tools) => new VariableStore(tools.db, tools.workspaceId);
const missing = () => refused(404, "Variable not found.");

async function read(key: VariableKey, tools: Tools) {
  const row = await store(tools).read(key);
  if (!row) throw missing();
  return printVariable(row);
}

function tell(action: "created" | "updated" | "deleted", row: VariableRow, tools: Tools) {
  tools.background(emitEvents(tools, [variableEvent(tools, action, row)]));
}

async function update(key: VariableKey, body: z.output<typeof VariableUpdate>, tools: Tools) {
  const changed = await store(tools).update(key, {
    updated: tools.clock(),
    ...(typeof body.name === "string" && { name: body.name }),
    ...("value" in body && { value: JSON.stringify(body.value ?? null) }),
    ...(body.tags && { tags: JSON.stringify(body.tags) }),
  });
  if (!changed) throw missing();
  tell("updated", changed, tools);
}

async function remove(key: VariableKey, tools: Tools) {
  const removed = await store(tools).remove(key);
  if (!removed) throw missing();
  tell("deleted", removed, tools);
}

export const variableRoutes = [
  route(
    {
      method: "POST",
      path: "/variables/",
      summary: "Create a variable.",
      body: VariableCreate,
      status: 201,
      response: Variable,
    },
    async ({ body, tools }) => {
      const now = tools.clock();
      const row = {
        workspace_id: tools.workspaceId,
        id: tools.ids.random(),
        created: now,
        updated: now,
        name: body.name,
        value: JSON.stringify(body.value ?? null),
        tags: JSON.stringify(body.tags),
      };
      if (!(await store(tools).insert(row))) throw conflict(`A variable with the name '${body.name}' already exists.`);
      tell("created", row, tools);
      return printVariable(row);
    },
  ),
  route(
    {
      method: "POST",
      path: "/variables/filter",
      summary: "Read variables.",
      body: embedded({
        limit: Limit,
        offset: Offset,
        variables: VariableFilter.nullish(),
        sort: VariableSort.default("NAME_ASC"),
      }),
      response: z.array(Variable),
    },
    async ({ body, tools }) => {
      const where = whereClause("variables", { variables: body.variables }, tools.workspaceId);
      const order = orderBy("variables", body.sort);
      const variables = await store(tools).list(where, order, checkLimit(body.limit), body.offset);
      return new Listing(mapPortions(variables, (rows) => rows.map(printVariable)));
    },
  ),
  route(
    {
      method: "POST",
      path: "/variables/count",
      summary: "Count variables.",
      body: embedded({ variables: VariableFilter.nullish() }),
      response: z.int(),
    },
    ({ body, tools }) => store(tools).count(whereClause("variables", { variables: body.variables }, tools.workspaceId)),
  ),
  route(
    { method: "GET", path: "/variables/{id:uuid}", summary: "Read a variable.", params: ById, response: Variable },
    ({ params, tools }) => read(params, tools),
  ),
  route(
    {
      method: "GET",
      path: "/variables/name/{name}",
      summary: "Read a variable by its name.",
      params: ByName,
      response: Variable,
    },
    ({ params, tools }) => read(params, tools),
  ),
  route(
    {
      method: "PATCH",
      path: "/variables/{id:uuid}",
      summary: "Update a variable.",
      params: ById,
      body: VariableUpdate,
      status: 204,
    },
    ({ params, body, tools }) => update(params, body, tools),
  ),
  route(
    {
      method: "PATCH",
      path: "/variables/name/{name}",
      summary: "Update a variable by its name.",
      params: ByName,
      body: VariableUpdate,
      status: 204,
    },
    ({ params, body, tools }) => update(params, body, tools),
  ),
  route(
    { method: "DELETE", path: "/variables/{id:uuid}", summary: "Delete a variable.", params: ById, status: 204 },
    ({ params, tools }) => remove(params, tools),
  ),
  route(
    {
      method: "DELETE",
      path: "/variables/name/{name}",
      summary: "Delete a variable by its name.",
      params: ByName,
      status: 204,
    },
    ({ params, tools }) => remove(params, tools),
  ),
];
