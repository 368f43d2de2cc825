/** Adds labels to a flow run. Labels are never removed. */
import type { Labels } from "#wire/scalars";
import type * as z from "zod";
import { sql } from "drizzle-orm";
import { flow_run } from "#db/tables/flow-run";
import { missingObject } from "#lib/api-error";
import { forget } from "#orchestration/recent-runs";
import type { Tools } from "#tools";

/** Adds labels to a run. It is one statement, so that of two requests at once both succeed. Throws 404 for an unknown run. */
export async function addLabels(tools: Tools, id: string, labels: z.output<typeof Labels>): Promise<void> {
  forget(tools.workspaceId, id);
  const { changes } = await tools.db.run(
    sql`update ${flow_run} set labels = json_patch(labels, ${JSON.stringify(labels)}), updated = ${tools.clock()}
      where workspace_id = ${tools.workspaceId} and id = ${id}`,
  );
  if (changes === 0) throw missingObject(`Flow run with id ${id} not found`);
}
