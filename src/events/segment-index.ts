/** The segments that may hold wanted events, by the index of resources (`event_resource`) and by the times in the events' ids. */
import { type SQL, sql } from "drizzle-orm";
import { each, list } from "#db/sql";
import type { WorkspaceStore } from "#db/workspace-store";
import { event_resource, event_segment } from "#db/tables/event";
import { task_run } from "#db/tables/task-run";
import { idOfKind } from "#events/event";
import { type EventFilter, listOf, type Window } from "#events/filter";
import { HOUR, hourOf } from "#events/segments";
import { earliestId, type Micros, timeOfId } from "#lib/clock";

/** Of more resources than these the index is not asked. */
const MAX_NAMED = 2_000;

/**
 * Gives a condition on a segment `s`: it may hold events of the resources that the filter names. Where the index does not
 * lead to all events of these resources, the condition is true of each segment.
 */
export async function mayHoldResources(
  { db, workspaceId }: Pick<WorkspaceStore, "db" | "workspaceId">,
  filter: EventFilter,
  { since, until }: Window,
): Promise<SQL> {
  const named = [
    filter.resource?.id?.length ? filter.resource.id : null,
    ...listOf(filter.related).map((related) => onlyRuns(related.id)),
    ...listOf(filter.any_resource).map((any) => onlyRuns(any.id)),
  ].find((ids) => ids !== null);
  if (!named || named.length > MAX_NAMED) return sql`true`;
  const indexed = (await withFlowRuns({ db, workspaceId }, named)).map((id) => [id, JSON.stringify(id)]);
  return sql`(s.hour, s.id) in (
      select c.hour, c.id from ${each(indexed)} wanted
      cross join ${event_resource} r on r.workspace_id = ${workspaceId} and r.resource_id = wanted.value->>0
        and r.hour between ${hourOf(since)} and ${hourOf(until)}
      cross join ${event_segment} c on c.workspace_id = ${workspaceId} and c.hour = r.hour
        and c.id between r.first_id and r.last_id
      where instr(c.resources, wanted.value->>1) > 0)`;
}

/** Adds the flow runs of the task runs: the index has a task run's own id only where the task run has no flow run. */
async function withFlowRuns(
  { db, workspaceId }: Pick<WorkspaceStore, "db" | "workspaceId">,
  resources: readonly string[],
): Promise<string[]> {
  const taskRuns = resources.flatMap((id) => idOfKind("prefect.task-run", id) ?? []);
  if (taskRuns.length === 0) return [...resources];
  const rows = await db.all(
    db.build
      .select({ flow_run_id: task_run.flow_run_id })
      .from(task_run)
      .where(sql`workspace_id = ${workspaceId} and id in ${list(taskRuns)}`),
  );
  return [...resources, ...rows.map((row) => `prefect.flow-run.${row.flow_run_id}`)];
}

/** The ids if all of them are flow runs', for the index leads to each event that names a flow run; otherwise null. */
function onlyRuns(ids: readonly string[] | null | undefined): readonly string[] | null {
  return ids?.length && ids.every((id) => idOfKind("prefect.flow-run", id) !== undefined) ? ids : null;
}

/**
 * Gives a condition on a segment `s`: it was written soon after the times in these ids. Null where no id has a time. Most
 * events with these ids are in such segments, but an event may arrive later, and a client may make other ids.
 */
export function wasWrittenNear(workspaceId: string, ids: readonly string[]): SQL | null {
  const periods = periodsOf(ids).map(({ since, until }) => [
    hourOf(since) - HOUR,
    hourOf(until),
    earliestId(since),
    earliestId(until),
  ]);
  if (periods.length === 0) return null;
  return sql`(s.hour, s.id) in (
      select c.hour, c.id from ${each(periods)} near
      cross join ${event_segment} c on c.workspace_id = ${workspaceId}
        and c.hour between near.value->>0 and near.value->>1 and c.id between near.value->>2 and near.value->>3)`;
}

/** How far the clock of a client that makes ids may be ahead, and how long it may take until an event is written. */
const AHEAD: Micros = 2_000_000;
const ON_ITS_WAY: Micros = 10_000_000;
/** How many periods there are at most. */
const MAX_PERIODS = 200;

/** Gives the periods in which events with these ids were written, in order. Ids of other versions than 7 have no time and give none. */
function periodsOf(ids: readonly string[]): Window[] {
  const times = ids
    .filter((id) => id[14] === "7")
    .map(timeOfId)
    .toSorted((a, b) => a - b);
  for (let gap = ON_ITS_WAY; ; gap *= 4) {
    const periods: Window[] = [];
    for (const time of times) {
      const last = periods.at(-1);
      if (last && time - AHEAD <= last.until + gap) last.until = time + ON_ITS_WAY;
      else periods.push({ since: time - AHEAD, until: time + ON_ITS_WAY });
    }
    if (periods.length <= MAX_PERIODS) return periods;
  }
}
