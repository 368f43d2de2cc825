/** The routes under /admin: the version, and where results are kept by default. */
import { sql } from "drizzle-orm";
import { z } from "zod";
import { readJson } from "#db/database";
import { configuration } from "#db/tables/configuration";
import { PREFECT_VERSION } from "#http/api-version";
import { route } from "#http/route";
import { refused } from "#lib/api-error";
import type { Tools } from "#tools";
import { Uuid, UuidText } from "#wire/ids";

const ServerDefaultResultStorage = z
  .object({ default_result_storage_block_id: UuidText.nullable() })
  .meta({ id: "ServerDefaultResultStorage" });

const ServerDefaultResultStorageUpdate = z
  .strictObject({ default_result_storage_block_id: Uuid })
  .meta({ id: "ServerDefaultResultStorageUpdate" });

const STORAGE_KEY = "default-result-storage";
const storageRow = (tools: Tools) => sql`workspace_id = ${tools.workspaceId} and key = ${STORAGE_KEY}`;

export const adminRoutes = [
  route(
    {
      method: "GET",
      path: "/admin/version",
      summary: "Read the version of the original whose API this is.",
      response: z.string(),
    },
    () => PREFECT_VERSION,
  ),
  route(
    {
      method: "GET",
      path: "/admin/storage",
      summary: "Read which block keeps results by default.",
      response: ServerDefaultResultStorage,
    },
    async ({ tools }) => {
      const [row] = await tools.db.rows<{ value: string }>(
        sql`select value from ${configuration} where ${storageRow(tools)}`,
      );
      return { default_result_storage_block_id: row ? readJson<string>(row.value) : null };
    },
  ),
  route(
    {
      method: "PUT",
      path: "/admin/storage",
      summary: "Set which block keeps results by default.",
      body: ServerDefaultResultStorageUpdate,
      response: ServerDefaultResultStorage,
    },
    ({ body }) => {
      // There are no block documents in this server so far, so none can be named.
      throw refused(404, `Block document ${body.default_result_storage_block_id} not found.`);
    },
  ),
  route(
    { method: "DELETE", path: "/admin/storage", summary: "Keep results nowhere by default.", status: 204 },
    async ({ tools }) => {
      await tools.db.run(sql`delete from ${configuration} where ${storageRow(tools)}`);
    },
  ),
];
