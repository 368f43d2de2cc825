/** Reads from D1 which limits there are, and which holders of leases are over. */
import { sql } from "drizzle-orm";
import { concurrency_limit } from "#db/tables/concurrency-limit";
import { flow_run } from "#db/tables/flow-run";
import { task_run } from "#db/tables/task-run";
import type { LimitsToRead } from "#objects/concurrency-limits/definitions";
import type { Limit } from "#objects/concurrency-limits/ledger";
import type { Tools } from "#tools";
import { TERMINAL_TYPES } from "#wire/state";
import type { Holder, Lease } from "#objects/concurrency-limits/messages";
import { list } from "#db/sql";

type Row = Pick<typeof concurrency_limit.$inferSelect, "id" | "name" | "limit" | "active" | "slot_decay_per_second">;

/** Reads definitions, in one round trip. */
export async function readLimits(tools: Tools, wanted: LimitsToRead): Promise<Limit[]> {
  const select = sql`select id, name, "limit", active, slot_decay_per_second from ${concurrency_limit} where workspace_id = ${tools.workspaceId}`;
  const results = await tools.db.readAll([
    // Two ranges of the index on names, around those of deployments.
    ...(wanted.common ? [sql`${select} and name < 'deployment:'`, sql`${select} and name >= 'deployment;'`] : []),
    ...(wanted.names.length > 0 ? [sql`${select} and name in ${list(wanted.names)}`] : []),
    ...(wanted.ids.length > 0 ? [sql`${select} and id in ${list(wanted.ids)}`] : []),
  ]);
  // The columns were named above.
  return (results.flat() as unknown as Row[]).map((row) => ({ ...row, active: row.active === 1 }));
}

/** A lease that somebody holds. */
export interface HeldLease extends Lease {
  holder: Holder;
}

/**
 * The leases whose holders' runs are over: in a terminal state, or deleted. A task run that is not in D1 may not have been
 * reported yet, so it counts as over only where its lease `isOld`.
 */
export async function readEnded(
  tools: Tools,
  leases: readonly HeldLease[],
  isOld: (lease: Lease) => boolean,
): Promise<HeldLease[]> {
  const idsOf = (type: Holder["type"]) =>
    JSON.stringify(leases.flatMap(({ holder }) => (holder.type === type ? [holder.id] : [])));
  const terminal = list([...TERMINAL_TYPES]);
  const [taskRuns = [], flowRuns = []] = await tools.db.readAll([
    sql`select h.value as id, r.id is null as is_unknown from json_each(${idsOf("task_run")}) h
      left join ${task_run} r on r.workspace_id = ${tools.workspaceId} and r.id = h.value
      where r.id is null or r.state_type in ${terminal}`,
    sql`select h.value as id from json_each(${idsOf("flow_run")}) h
      left join ${flow_run} r on r.workspace_id = ${tools.workspaceId} and r.id = h.value
      where r.id is null or r.state_type in ${terminal}`,
  ]);
  const ended = { task_run: idSet(taskRuns), flow_run: idSet(flowRuns), deployment: new Set<string>() };
  const unknown = idSet(taskRuns.filter(({ is_unknown }) => is_unknown === 1));
  return leases.filter((lease) => {
    const { type, id } = lease.holder;
    const isUnknown = type === "task_run" && unknown.has(id);
    return ended[type].has(id) && (!isUnknown || isOld(lease));
  });
}

const idSet = (rows: readonly Record<string, unknown>[]) => new Set(rows.map(({ id }) => String(id)));
