/** Changes a flow run's own fields and adds to its labels. Only orchestration changes its state. */
import { namedStrictObject } from "#wire/named";
import type * as z from "zod";
import { and, eq, sql } from "drizzle-orm";
import { readJson } from "#db/database";
import { flowRuns } from "#db/rows/flow-runs";
import { labelsObject, shortLabels } from "#db/short/labels";
import { deployment } from "#db/tables/deployment";
import { flow_run } from "#db/tables/flow-run";
import { work_pool, work_queue } from "#db/tables/work-pool";
import { missingObject, notFound, refused } from "#lib/api-error";
import { randomName } from "#lib/names";
import { forget } from "#orchestration/recent-runs";
import { withBlockDefaults } from "#resources/work-pools/block-defaults";
import { validateRunVariables } from "#resources/work-pools/job-variables";
import type { Tools } from "#tools";
import { FlowRunPolicy } from "#wire/runs";
import type { Labels } from "#wire/scalars";
import { ShortText, SizedObject, SizedParameters, Tags } from "#wire/sizes";

export const FlowRunUpdate = namedStrictObject("FlowRunUpdate", {
  name: ShortText.nullish(),
  flow_version: ShortText.nullish(),
  parameters: SizedParameters.optional(),
  empirical_policy: FlowRunPolicy.optional(),
  tags: Tags.optional(),
  infrastructure_pid: ShortText.nullish(),
  job_variables: SizedObject.nullish(),
});

/** Applies an update; throws 404 for an unknown run, 400 or 422 for job variables that cannot be set. */
export async function updateFlowRun(tools: Tools, id: string, update: z.output<typeof FlowRunUpdate>): Promise<void> {
  if (update.job_variables) await checkJobVariables(tools, id, update.job_variables);
  // A name that is null or empty is replaced by a generated name, as for a new run.
  const name = "name" in update ? { name: update.name || randomName(tools.random) } : {};
  const values = { ...flowRuns.changes({ ...update, ...name, tags: unique(update.tags) }), updated: tools.clock() };
  forget(tools.workspaceId, id);
  const isRun = and(eq(flow_run.workspace_id, tools.workspaceId), eq(flow_run.id, id));
  const { changes } = await tools.db.run(tools.db.build.update(flow_run).set(values).where(isRun));
  if (changes === 0) throw notFound("Flow run");
}

const unique = (tags: readonly string[] | undefined) => tags && [...new Set(tags)];

/** Prefect: job variables of a run change only while it is scheduled, and must be valid for its deployment's pool. */
async function checkJobVariables(tools: Tools, id: string, variables: Record<string, unknown>): Promise<void> {
  const [row] = await tools.db.rows<{
    state_type: string | null;
    deployment: string | null;
    job_variables: string | null;
    template: string | null;
  }>(
    sql`select r.state_type as state_type, d.id as deployment, d.job_variables as job_variables, p.base_job_template as template
      from ${flow_run} r
      left join ${deployment} d on d.workspace_id = r.workspace_id and d.id = r.deployment_id
      left join ${work_queue} q on q.workspace_id = d.workspace_id and q.id = d.work_queue_id
      left join ${work_pool} p on p.workspace_id = q.workspace_id and p.id = q.work_pool_id
      where r.workspace_id = ${tools.workspaceId} and r.id = ${id}`,
  );
  if (!row) throw notFound("Flow run");
  if (row.state_type === null) throw refused(400, "Flow run state is required to update job variables but none exists");
  if (row.state_type !== "SCHEDULED") {
    throw refused(400, `Job variables for a flow run in state ${row.state_type} cannot be updated`);
  }
  if (row.deployment === null) throw refused(400, "A deployment for the flow run could not be found");
  if (row.template === null) return;
  const ofDeployment = readJson<Record<string, unknown>>(row.job_variables ?? "{}");
  const template = await withBlockDefaults(tools, readJson<Record<string, unknown>>(row.template));
  validateRunVariables(template, ofDeployment, variables, "updating");
}

/** Adds labels to a run, in one statement, so two concurrent requests both succeed. Throws 404 for an unknown run. */
export async function addLabels(tools: Tools, id: string, labels: z.output<typeof Labels>): Promise<void> {
  forget(tools.workspaceId, id);
  const merged = sql`json_patch(${labelsObject("flow_run")}, ${JSON.stringify(labels)})`;
  const { changes } = await tools.db.run(
    sql`update ${flow_run} set labels = ${shortLabels(merged, (name) => `flow_run.${name}`)}, updated = ${tools.clock()}
      where workspace_id = ${tools.workspaceId} and id = ${id}`,
  );
  if (changes === 0) throw missingObject(`Flow run with id ${id} not found`);
}
