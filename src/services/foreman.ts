/** The guarantee that no work pool stays READY for want of an object that knows of it. */
import { sql } from "drizzle-orm";
import { work_pool } from "#db/tables/work-pool";
import { readLiveness } from "#objects/work-pool/client";
import { byWorkspace } from "#services/by-workspace";
import { isFirstOfHour } from "#services/turns";
import type { Tools } from "#tools";

const MOST = 500;

/**
 * Asks after the pools that are READY, in the first turn of each hour. Their objects mark workers, pools, queues and
 * deployments by alarms of their own; one that knows nothing, as after its database was brought back, reads D1 when it is
 * asked, and sets its alarms.
 */
export async function wakePools(tools: Tools): Promise<void> {
  if (!isFirstOfHour(tools.clock())) return;
  const ready = await tools.db.rows<{ workspace_id: string; id: string; name: string }>(
    sql`select workspace_id, id, name from ${work_pool} where status = 'READY' order by updated limit ${MOST}`,
  );
  await byWorkspace(tools, ready, readLiveness);
}
