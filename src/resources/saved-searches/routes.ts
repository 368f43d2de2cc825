/** The routes under /saved_searches. */
import { sql } from "drizzle-orm";
import { newColumns } from "#db/workspace-store";
import { listRoutes } from "#http/list-routes";
import { Reply, route } from "#http/route";
import { notFound } from "#lib/api-error";
import { mapPortions } from "#lib/portions";
import { SavedSearch, SavedSearchCreate } from "#resources/saved-searches/schema";
import { savedSearches, SavedSearchStore } from "#resources/saved-searches/store";
import type { Tools } from "#tools";
import { Limit, Offset } from "#wire/paging";

const store = (tools: Tools) => new SavedSearchStore(tools);
const missing = () => notFound("Saved search");

export const savedSearchRoutes = [
  route(
    {
      method: "PUT",
      path: "/saved_searches/",
      summary: "Create a saved search, or replace the filters of the search with its name.",
      body: SavedSearchCreate,
      status: 201,
      otherStatus: 200,
      response: SavedSearch,
    },
    async ({ body, tools }) => {
      const draft = savedSearches.blank({ ...body, ...newColumns(tools) });
      const row = await store(tools).put(draft);
      return new Reply(savedSearches.print(row), row.id === draft.id ? 201 : 200);
    },
  ),
  route(
    { method: "GET", path: "/saved_searches/{id:uuid}", summary: "Read a saved search.", response: SavedSearch },
    async ({ params, tools }) => {
      const row = await store(tools).read(params);
      if (!row) throw missing();
      return savedSearches.print(row);
    },
  ),
  ...listRoutes({
    path: "/saved_searches",
    things: "saved searches",
    body: { limit: Limit, offset: Offset },
    item: SavedSearch,
    async list({ tools }, { limit, offset }) {
      const rows = await store(tools).list(sql`workspace_id = ${tools.workspaceId}`, sql`name`, limit, offset);
      return mapPortions(rows, (some) => some.map(savedSearches.print));
    },
  }),
  route(
    { method: "DELETE", path: "/saved_searches/{id:uuid}", summary: "Delete a saved search.", status: 204 },
    async ({ params, tools }) => {
      if (!(await store(tools).remove(params))) throw missing();
    },
  ),
];
