/** `POST /deployments/get_scheduled_flow_runs`: the poll that `flow.serve()` sends every few seconds. */
import { sql } from "drizzle-orm";
import { writeEvents } from "#events/emit";
import { flow_run } from "#db/tables/flow-run";
import { deployment } from "#db/tables/deployment";
import { type Micros, SECOND } from "#lib/clock";
import type { Portions } from "#lib/portions";
import { markLate, withoutMissed } from "#orchestration/mark-late";
import { deploymentEvent } from "#resources/deployments/events";
import { DeploymentStore } from "#resources/deployments/store";
import { FlowRunStore, type FlowRunWithState, selectFlowRunList } from "#db/rows/flow-runs";
import type { Tools } from "#tools";
import { list } from "#db/sql";

/** A poll rewrites a `last_polled` that is older. Much less than the 60 s after which a deployment is NOT_READY. */
const NOTE_AFTER = 30 * SECOND;

/** The parameters of a poll. */
interface DeploymentPoll {
  deploymentIds: readonly string[];
  before: Micros | null;
  limit: number;
}

/**
 * Gives the scheduled runs of deployments in the order of their due times. Takes one round trip. One poll in 30 s also
 * writes, after the response.
 */
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
  const overdue = enabled ? due.filter((run) => isOverdue(run, now - seconds * SECOND)).map(({ id }) => id) : [];
  if (overdue.length > 0) tools.background(markLate(tools, overdue));
  return new FlowRunStore(tools).inFull(due);
}

/** Whether a run is late. The sweep marks late runs too, but only once a minute. */
function isOverdue({ state_name, next_scheduled_start_time: at }: FlowRunWithState, until: Micros): boolean {
  return state_name === "Scheduled" && at !== null && at <= until;
}

/** Reads the index of live runs by time. `+` prevents SQLite from using an index that has all past runs. */
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

/** Marks deployments READY, notes the poll, and writes an event for each deployment that was NOT_READY. */
async function noteDeployments(tools: Tools, ids: readonly string[], now: Micros): Promise<void> {
  const store = new DeploymentStore(tools);
  const [readied] = await tools.db.batch([store.markStatus(ids, "READY"), store.notePoll(ids, now, now - NOTE_AFTER)]);
  const ready = (readied?.rows ?? []).map(({ id }) => String(id));
  if (ready.length === 0) return;
  const events = (await store.readList(ready)).map((row) => deploymentEvent(tools, "READY", row));
  await writeEvents(tools, events);
}
