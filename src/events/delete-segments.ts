/** Deletes segments with their index rows. */
import { type SQL, sql } from "drizzle-orm";
import { each, list } from "#db/sql";
import { event_archive, event_resource, event_segment } from "#db/tables/event";
import { PERIOD, type SegmentKey, segmentsOf } from "#events/segments";
import { earliestId, type Micros, timeOfId } from "#lib/clock";

/**
 * Removes the segments that meet a condition, and the index rows that no longer point to a segment. If the archive has
 * events of the hour, the newest index row of each resource stays, because it points to them too.
 */
export function deletions(workspaceId: string, keys: readonly SegmentKey[], condition: SQL): SQL[] {
  const chosen = segmentsOf(workspaceId, keys);
  const going = sql`(select s.hour, s.id from ${chosen} where ${condition})`;
  return [
    sql`with staying as materialized (
        select o.hour, o.id, named.value as resource_id from ${each(neighbourhoods(keys))} n
        cross join ${event_segment} o on o.workspace_id = ${workspaceId} and o.hour = n.value->>0
          and o.id between n.value->>1 and n.value->>2
        cross join json_each(o.resources) named
        where (o.hour, o.id) not in ${going}
      )
      delete from ${event_resource} where (workspace_id, resource_id, hour, first_id) in (
        select r.workspace_id, r.resource_id, r.hour, r.first_id from ${chosen}
        cross join json_each(s.resources) named
        cross join ${event_resource} r on r.workspace_id = ${workspaceId} and r.resource_id = named.value
          and r.hour = s.hour and s.id between r.first_id and r.last_id
        where ${condition} and not exists (
          select 1 from staying y
          where y.resource_id = r.resource_id and y.hour = r.hour and y.id between r.first_id and r.last_id)
          and not (${isNewest(workspaceId)} and r.hour in (
            select a.hour from ${event_archive} a where a.workspace_id = ${workspaceId} and a.hour in ${hours(keys)})))`,
    sql`delete from ${event_segment} where workspace_id = ${workspaceId} and (hour, id) in ${going}`,
  ];
}

/** For each hour, the range of ids of the segments that may share an index row with one of these segments. */
function neighbourhoods(keys: readonly SegmentKey[]): [Micros, string, string][] {
  return [...Map.groupBy(keys, ({ hour }) => hour)].map(([hour, ofHour]) => {
    const times = ofHour.map(({ id }) => timeOfId(id));
    return [hour, earliestId(Math.min(...times) - PERIOD), earliestId(Math.max(...times) + PERIOD)];
  });
}

/** Whether an index row `r` is the newest one of its resource and hour. */
function isNewest(workspaceId: string): SQL {
  return sql`r.first_id = (select max(n.first_id) from ${event_resource} n
    where n.workspace_id = ${workspaceId} and n.resource_id = r.resource_id and n.hour = r.hour)`;
}

const hours = (keys: readonly SegmentKey[]): SQL => list([...new Set(keys.map(({ hour }) => hour))]);
