/** Conditions by which segments without a wanted event are skipped, so that they are not opened. */
import { type SQL, sql } from "drizzle-orm";
import { each } from "#db/sql";
import { areTaskRuns } from "#db/task-run-keys";
import type { WorkspaceStore } from "#db/workspace-store";
import { event_resource, event_segment } from "#db/tables/event";
import { task_run } from "#db/tables/task-run";
import type { PartHeader } from "#events/archived-parts";
import { idOfKind } from "#events/event";
import { type EventFilter, listOf, matchesName, type Window } from "#events/filter";
import { HOUR, hourOf } from "#events/segments";
import { earliestId, type Micros, timeOfId } from "#lib/clock";

/** For how many resources the index is read. If a filter names more resources, the index is not read. */
const MAX_NAMED = 2_000;

/** A condition on segments, wherever they are. */
export interface Condition {
  /** For segments `s` in D1. */
  segment: SQL;
  /** For bundles `a` in the archive: a bundle may have a part that meets the condition. */
  bundle: SQL;
  /** For a part of a bundle. */
  part: (part: PartHeader) => boolean;
}

/** Each segment meets this condition. */
export const ANY: Condition = { segment: sql`true`, bundle: sql`true`, part: () => true };

/** Whether all conditions are met. */
export function all(conditions: readonly Condition[]): Condition {
  return {
    segment: sql.join(
      conditions.map(({ segment }) => segment),
      sql` and `,
    ),
    bundle: sql.join(
      conditions.map(({ bundle }) => bundle),
      sql` and `,
    ),
    part: (part) => conditions.every((condition) => condition.part(part)),
  };
}

/** The segment may have events that occurred in the window. */
export function occurredIn(workspaceId: string, { since, until }: Window): Condition {
  const mayHold = (alias: string) => {
    const column = (name: string) => sql.raw(`${alias}.${name}`);
    return sql`${column("workspace_id")} = ${workspaceId}
      and ${column("hour")} between ${hourOf(since)} and ${hourOf(until)}
      and ${column("last_occurred")} >= ${since} and ${column("first_occurred")} <= ${until}`;
  };
  return {
    segment: mayHold("s"),
    bundle: mayHold("a"),
    part: ({ first_occurred, last_occurred }) => last_occurred >= since && first_occurred <= until,
  };
}

/**
 * The segment was written since a time. A part also meets the condition if only some of its events were written since
 * then. Segments move long after they were written, so this is rare.
 */
export function writtenSince(time: Micros | null | undefined): Condition {
  if (time === null || time === undefined) return ANY;
  const id = earliestId(time);
  return { segment: sql`s.id >= ${id}`, bundle: sql`a.last_id >= ${id}`, part: ({ last_id }) => last_id >= id };
}

/** The segment may have events of the resources that the filter names, by the index `event_resource`. `ANY` if the index cannot tell. */
export async function mayHoldResources(
  store: WorkspaceStore,
  filter: EventFilter,
  { since, until }: Window,
): Promise<Condition> {
  const named = [
    filter.resource?.id?.length ? filter.resource.id : null,
    ...listOf(filter.related).map((related) => onlyRuns(related.id)),
    ...listOf(filter.any_resource).map((any) => onlyRuns(any.id)),
  ].find((ids) => ids !== null);
  if (!named || named.length > MAX_NAMED) return ANY;
  const { workspaceId } = store;
  const resources = new Set(await withFlowRuns(store, named));
  const indexed = each([...resources].map((id) => [id, JSON.stringify(id)]));
  const rows = sql`${indexed} wanted
      cross join ${event_resource} r on r.workspace_id = ${workspaceId} and r.resource_id = wanted.value->>0
        and r.hour between ${hourOf(since)} and ${hourOf(until)}`;
  return {
    segment: sql`(s.hour, s.id) in (
      select c.hour, c.id from ${rows}
      cross join ${event_segment} c on c.workspace_id = ${workspaceId} and c.hour = r.hour
        and c.id between r.first_id and r.last_id
      where instr(c.resources, wanted.value->>1) > 0)`,
    bundle: sql`a.hour in (select r.hour from ${rows})`,
    part: (part) => part.resources === null || part.resources.some((id) => resources.has(id)),
  };
}

/** Adds the flow runs of the task runs. The index has a task run's own id only if the task run has no flow run. */
async function withFlowRuns({ db, workspaceId }: WorkspaceStore, resources: readonly string[]): Promise<string[]> {
  const taskRuns = resources.flatMap((id) => idOfKind("prefect.task-run", id) ?? []);
  if (taskRuns.length === 0) return [...resources];
  const rows = await db.rows<{ flow_run_id: string | null }>(
    sql`select flow_run_id from ${task_run} where ${areTaskRuns(workspaceId, taskRuns)}`,
  );
  return [...resources, ...rows.map((row) => `prefect.flow-run.${row.flow_run_id}`)];
}

/** Returns the ids if all of them are ids of flow runs, otherwise null. The index has each event that names a flow run. */
function onlyRuns(ids: readonly string[] | null | undefined): readonly string[] | null {
  return ids?.length && ids.every((id) => idOfKind("prefect.flow-run", id) !== undefined) ? ids : null;
}

/**
 * Two conditions: the segment was written soon after the times in these ids, or not. Null if no id has a time. Most
 * events with these ids are in such segments, but an event may arrive later, and a client may make other ids.
 */
export function writtenNear(workspaceId: string, ids: readonly string[]): { near: Condition; far: Condition } | null {
  const periods = periodsOf(ids).map(({ since, until }) => ({
    firstHour: hourOf(since) - HOUR,
    lastHour: hourOf(until),
    first: earliestId(since),
    last: earliestId(until),
  }));
  if (periods.length === 0) return null;
  const rows = each(periods.map(({ firstHour, lastHour, first, last }) => [firstHour, lastHour, first, last]));
  const segment = sql`(s.hour, s.id) in (
      select c.hour, c.id from ${rows} near
      cross join ${event_segment} c on c.workspace_id = ${workspaceId}
        and c.hour between near.value->>0 and near.value->>1 and c.id between near.value->>2 and near.value->>3)`;
  const isNear = ({ first_id, last_id, first_occurred }: PartHeader) => {
    const hour = hourOf(first_occurred);
    return periods.some(
      (near) => hour >= near.firstHour && hour <= near.lastHour && first_id <= near.last && last_id >= near.first,
    );
  };
  const bundle = sql`exists (select 1 from ${rows} near where a.hour between near.value->>0 and near.value->>1
      and a.first_id <= near.value->>3 and a.last_id >= near.value->>2)`;
  return {
    near: { segment, bundle, part: isNear },
    // A bundle that is near may have parts that are not.
    far: { segment: sql`not ${segment}`, bundle: sql`true`, part: (part) => !isNear(part) },
  };
}

/** How far the clock of a client that makes ids may be ahead, and how long the write of an event may take. */
const AHEAD: Micros = 2_000_000;
const ON_ITS_WAY: Micros = 10_000_000;
/** How many periods there are at most. */
const MAX_PERIODS = 200;

/** Returns the periods in which events with these ids were written, in order. Ids of other versions than 7 have no time, so they add no period. */
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

/** A criterion with more texts is not used as a condition, because opening or parsing a segment is then faster. */
export const MAX_TEXTS = 20;
/** How many conditions a statement has, because SQLite takes 100 levels of `and`. */
const MAX_CONDITIONS = 30;

/** Whether a segment may have an event with a wanted name. */
export function mayHoldNames(filter: EventFilter): Condition {
  return {
    segment: hasNames(filter, "s.counts"),
    bundle: sql`(a.counts is null or ${hasNames(filter, "a.counts")})`,
    part: ({ counts }) => counts === null || Object.keys(counts).some((name) => matchesName(filter, name)),
  };
}

function hasNames(filter: EventFilter, column: string): SQL {
  const names = sql.raw(column);
  return allOf([
    hasAny(names, filter.event?.name, (name) => `${JSON.stringify(name)}:`),
    hasAny(names, filter.event?.prefix, opening),
  ]);
}

function allOf(conditions: readonly (SQL | null)[]): SQL {
  const present = conditions.filter((condition) => condition !== null).slice(0, MAX_CONDITIONS);
  return present.length === 0 ? sql`true` : sql.join(present, sql` and `);
}

/** A text in JSON, without the closing quote. */
export const opening = (text: string): string => JSON.stringify(text).slice(0, -1);

function hasAny(
  column: SQL,
  values: readonly string[] | null | undefined,
  textOf: (value: string) => string,
): SQL | null {
  if (!values?.length || values.length > MAX_TEXTS) return null;
  return sql`exists (select 1 from ${each(values.map(textOf))} n where instr(${column}, n.value) > 0)`;
}
