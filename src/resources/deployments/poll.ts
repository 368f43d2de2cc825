/** `POST /deployments/get_scheduled_flow_runs`: what `flow.serve()` asks every few seconds. */
import { sql } from "drizzle-orm";
import { writeEvents } from "#events/emit";
import { flow_run } from "#db/tables/flow-run";
import { deployment } from "#db/tables/deployment";
import type { Micros } from "#lib/clock";
import type { Portions } from "#lib/portions";
import { markLate } from "#orchestration/mark-late";
import { withoutMissed } from "#orchestration/skip-missed-runs";
import { deploymentEvent } from "#resources/deployments/events";
import { DeploymentStore } from "#resources/deployments/store";
import { FlowRunStore, type FlowRunWithState, selectFlowRunList } from "#db/rows/flow-runs";
import type { Tools } from "#tools";
import { list } from "#db/sql";

/** How old the note of a poll may become, so that not every poll is a write. Well below the 60 s after which nobody asks. */
const NOTE_AFTER = 30_000_000;

/** What a poll asks for. */
export interface DeploymentPoll {
  deploymentIds: readonly string[];
  before: Micros | null;
  limit: number;
}

/** The scheduled runs of deployments by the time they are due. One round trip; a write only now and then, after the answer. */
export async function pollDeployments(tools: Tools, poll: DeploymentPoll): Promise<Portions<FlowRunWithState>> {
  const now = tools.clock();
  const [runs = [], stale = []] = await tools.db.readAll([
    selectDue(tools.workspaceId, poll),
    selectStale(tools.workspaceId, poll, now),
  ]);
  const ids = stale.map(({ id }) => String(id));
  if (ids.length > 0) tools.background(noteDeployments(tools, ids, now));
  const due = await withoutMissed(tools, runs as unknown as FlowRunWithState[]); // rows of the flow runs' own select
  const { enabled, after_seconds: seconds } = tools.settings.services.late_runs;
  const overdue = enabled ? due.filter((run) => isOverdue(run, now - seconds * 1_000_000)) : [];
  if (overdue.length > 0)
    tools.background(
      markLate(
        tools,
        overdue.map(({ id }) => id),
      ),
    );
  return new FlowRunStore(tools.db, tools.workspaceId).inFull(due);
}

/** The clock comes to such a run too, but only once a minute. */
function isOverdue({ state_name, next_scheduled_start_time: at }: FlowRunWithState, until: Micros): boolean {
  return state_name === "Scheduled" && at !== null && at <= until;
}

/** Reads the index of live runs by time; `+` keeps SQLite from going through the whole past instead. */
export function selectDue(workspaceId: string, { deploymentIds, before, limit }: DeploymentPoll) {
  return selectFlowRunList(sql`where ${flow_run.end_time} is null
    and ${flow_run.next_scheduled_start_time} > 0 and ${flow_run.next_scheduled_start_time} <= ${before ?? Number.MAX_SAFE_INTEGER}
    and +${flow_run.workspace_id} = ${workspaceId}
    and +${flow_run.deployment_id} in ${list(deploymentIds)}
    and ${flow_run.state_type} = 'SCHEDULED'
    order by ${flow_run.next_scheduled_start_time}, ${flow_run.id} limit ${limit}`);
}

function selectStale(workspaceId: string, { deploymentIds }: DeploymentPoll, now: Micros) {
  return sql`select id from ${deployment} where ${deployment.workspace_id} = ${workspaceId}
    and ${deployment.id} in ${list(deploymentIds)}
    and (${deployment.status} <> 'READY' or ${deployment.last_polled} is null or ${deployment.last_polled} <= ${now - NOTE_AFTER})`;
}

/** Deployments become READY when they are asked for; each that was not says so in an event. */
async function noteDeployments(tools: Tools, ids: readonly string[], now: Micros): Promise<void> {
  const store = new DeploymentStore(tools.db, tools.workspaceId);
  const [readied] = await tools.db.batch([store.markStatus(ids, "READY"), store.notePoll(ids, now, now - NOTE_AFTER)]);
  const ready = (readied?.rows ?? []).map(({ id }) => String(id));
  if (ready.length === 0) return;
  const rows = await store.readList(ready);
  await writeEvents(
    tools,
    rows.map((row) => deploymentEvent(tools, "READY", row)),
  );
}
