/** What the object reads from D1: the definitions of limits, how long the object may rely on them, and which leases have holders that ended. */
import { sql } from "drizzle-orm";
import { each, list } from "#db/sql";
import { concurrency_limit } from "#db/tables/concurrency-limit";
import { flow_run } from "#db/tables/flow-run";
import { isTaskRunOf } from "#db/task-run-keys";
import { task_run } from "#db/tables/task-run";
import type { Micros } from "#lib/clock";
import type { Limit } from "#objects/concurrency-limits/ledger";
import type { Holder, Lease, LimitKeys } from "#objects/concurrency-limits/messages";
import type { Tools } from "#tools";
import { TERMINAL_TYPES } from "#wire/state";

/** How long the object uses a definition without a notice of a change. The same time holds for the fact that there is no definition. */
const FRESH: Micros = 30_000_000;
/** Limits of deployments are read one by one, because there may be many. The other limits are read all at once. */
const ONE_BY_ONE = "deployment:";
/** How many limits of deployments are kept. */
const MOST_KEPT = 5_000;

/** What has to be read: these limits, and if `common` is true all limits that do not belong to a deployment. */
interface LimitsToRead extends LimitKeys {
  common: boolean;
}

const isCommon = (name: string) => !name.startsWith(ONE_BY_ONE);

/** The known limits of one workspace. */
export class Definitions {
  /** Grows with each change of a definition. A definition that was read before the change is outdated. */
  generation = 0;
  private readonly limits = new Map<string, Limit>();
  private readonly ids = new Map<string, string>();
  private readonly readAt = new Map<string, Micros>();
  private commonAt: Micros | null = null;

  /** The limit of this name, or undefined. */
  named(name: string): Limit | undefined {
    const id = this.ids.get(name);
    return id === undefined ? undefined : this.limits.get(id);
  }

  /** The limit of this id, or undefined. */
  read(id: string): Limit | undefined {
    return this.limits.get(id);
  }

  /** What must be read before these limits are known, or null. */
  wanted({ names, ids }: LimitKeys, now: Micros): LimitsToRead | null {
    const isCommonStale = this.commonAt === null || now - this.commonAt >= FRESH;
    const isStale = (key: string) => now - (this.readAt.get(key) ?? -FRESH) >= FRESH;
    const isKnownCommon = (id: string) => isCommon(this.limits.get(id)?.name ?? ONE_BY_ONE);
    const staleIds = ids.filter((id) => isStale(id) && (isCommonStale || !isKnownCommon(id)));
    const wanted = {
      common: isCommonStale && (names.some(isCommon) || staleIds.some(isKnownCommon)),
      names: names.filter((name) => !isCommon(name) && isStale(name)),
      ids: staleIds.filter((id) => !isKnownCommon(id)),
    };
    return wanted.common || wanted.names.length + wanted.ids.length > 0 ? wanted : null;
  }

  /** Keeps the definitions that were read. Returns the ids of limits that are not in D1. */
  learn(wanted: LimitsToRead, rows: readonly Limit[], now: Micros): string[] {
    if (this.readAt.size > MOST_KEPT) this.forgetOneByOne();
    const before = [...this.limits.values()].filter(
      ({ id, name }) => (wanted.common && isCommon(name)) || wanted.ids.includes(id) || wanted.names.includes(name),
    );
    for (const limit of before) this.remove(limit);
    for (const limit of rows) {
      const old = this.limits.get(limit.id);
      if (old) this.remove(old);
      this.limits.set(limit.id, limit);
      this.ids.set(limit.name, limit.id);
    }
    if (wanted.common) this.commonAt = now;
    for (const key of [...wanted.names, ...wanted.ids]) this.readAt.set(key, now);
    const looked = new Set([...before.map(({ id }) => id), ...wanted.ids]);
    return [...looked].filter((id) => !this.limits.has(id));
  }

  /** Makes all definitions outdated after a change, so each definition is read again before its next use. */
  expire(): void {
    this.generation++;
    this.commonAt = null;
    this.readAt.clear();
  }

  private remove({ id, name }: Limit): void {
    this.limits.delete(id);
    if (this.ids.get(name) === id) this.ids.delete(name);
  }

  private forgetOneByOne(): void {
    this.readAt.clear();
    for (const limit of this.limits.values()) if (!isCommon(limit.name)) this.remove(limit);
  }
}

/** Reads definitions in one round trip. */
export async function readLimits(tools: Tools, wanted: LimitsToRead): Promise<Limit[]> {
  const select = sql`select id, name, "limit", active, slot_decay_per_second from ${concurrency_limit} where workspace_id = ${tools.workspaceId}`;
  const results = await tools.db.readAll([
    // Two ranges of the index on names, before and after the names of deployments' limits.
    ...(wanted.common ? [sql`${select} and name < 'deployment:'`, sql`${select} and name >= 'deployment;'`] : []),
    ...(wanted.names.length > 0 ? [sql`${select} and name in ${list(wanted.names)}`] : []),
    ...(wanted.ids.length > 0 ? [sql`${select} and id in ${list(wanted.ids)}`] : []),
  ]);
  // The select above names the columns.
  const rows = results.flat() as unknown as (Omit<Limit, "active"> & { active: number })[];
  return rows.map((row) => ({ ...row, active: row.active === 1 }));
}

/**
 * The leases of runs that have ended: the run is in a terminal state, or deleted. A task run that is not in D1 may not
 * be reported yet. Such a task run counts as ended only if its lease `isOld`.
 */
export async function readEnded(
  tools: Tools,
  leases: readonly Lease[],
  isOld: (lease: Lease) => boolean,
): Promise<Lease[]> {
  const idsOf = (type: Holder["type"]) =>
    each(leases.flatMap(({ holder }) => (holder?.type === type ? [holder.id] : [])));
  const terminal = list([...TERMINAL_TYPES]);
  const [taskRuns = [], flowRuns = []] = await tools.db.readAll([
    sql`select h.value as id, r.id is null as is_unknown from ${idsOf("task_run")} h
      left join ${task_run} r on ${isTaskRunOf(tools.workspaceId, sql`h.value`, "r")}
      where r.id is null or r.state_type in ${terminal}`,
    sql`select h.value as id from ${idsOf("flow_run")} h
      left join ${flow_run} r on r.workspace_id = ${tools.workspaceId} and r.id = h.value
      where r.id is null or r.state_type in ${terminal}`,
  ]);
  const ended = { task_run: idSet(taskRuns), flow_run: idSet(flowRuns), deployment: new Set<string>() };
  const unknown = idSet(taskRuns.filter(({ is_unknown }) => is_unknown === 1));
  return leases.filter((lease) => {
    const { holder } = lease;
    if (!holder || !ended[holder.type].has(holder.id)) return false;
    return holder.type !== "task_run" || !unknown.has(holder.id) || isOld(lease);
  });
}

const idSet = (rows: readonly Record<string, unknown>[]) => new Set(rows.map(({ id }) => String(id)));
