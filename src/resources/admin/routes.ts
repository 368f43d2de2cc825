/** The routes under /admin. */
import { z } from "zod";
import { PREFECT_VERSION } from "#http/api-version";
import { route } from "#http/route";
import { refused } from "#lib/api-error";
import { DatabaseSize, readDatabaseSize } from "#resources/admin/database-size";
import { printSettings, Settings } from "#resources/admin/settings";
import { ConfigurationStore } from "#resources/admin/store";
import type { Tools } from "#tools";
import { Uuid, UuidText } from "#wire/ids";

/** Prefect: the key of the original's configuration. */
const RESULT_STORAGE = "server-default-result-storage";

const ServerDefaultResultStorage = z
  .object({ default_result_storage_block_id: UuidText.nullable() })
  .meta({ id: "ServerDefaultResultStorage" });
const ServerDefaultResultStorageUpdate = z
  .object({ default_result_storage_block_id: Uuid })
  .meta({ id: "ServerDefaultResultStorageUpdate" });

const store = (tools: Tools) => new ConfigurationStore(tools.db, tools.workspaceId);

export const adminRoutes = [
  route(
    {
      method: "GET",
      path: "/admin/settings",
      summary: "The server's settings, without its secrets.",
      response: Settings(),
    },
    ({ request, tools }) => printSettings(tools, new URL(request.url)),
  ),
  route(
    {
      method: "GET",
      path: "/admin/version",
      summary: "The version of Prefect whose API this is.",
      response: z.string(),
    },
    () => PREFECT_VERSION,
  ),
  route(
    {
      method: "GET",
      path: "/admin/database",
      summary: "The database's size, against what it may have.",
      response: DatabaseSize,
    },
    ({ tools }) => readDatabaseSize(tools.db),
  ),
  route(
    {
      method: "GET",
      path: "/admin/storage",
      summary: "The block where results go by default.",
      response: ServerDefaultResultStorage,
    },
    async ({ tools }) => (await store(tools).read(RESULT_STORAGE)) ?? { default_result_storage_block_id: null },
  ),
  route(
    {
      method: "PUT",
      path: "/admin/storage",
      summary: "Set the block where results go by default.",
      body: ServerDefaultResultStorageUpdate,
      response: ServerDefaultResultStorage,
    },
    ({ body }) => {
      // Blocks are not stored yet, so there is none by this id.
      throw refused(404, `Block document ${body.default_result_storage_block_id} not found.`);
    },
  ),
  route(
    { method: "DELETE", path: "/admin/storage", summary: "Forget where results go by default.", status: 204 },
    ({ tools }) => store(tools).remove(RESULT_STORAGE),
  ),
];
