/** Work pools and their queues in D1, of one workspace. */
import { type SQL, type SQLWrapper, sql } from "drizzle-orm";
import { codec } from "#db/codec";
import type { Statement } from "#db/database";
import { inPortions, longColumns, shortenedColumns } from "#db/long-values";
import type { FlowRunRow } from "#db/rows/flow-runs";
import { deployment } from "#db/tables/deployment";
import { flow_run } from "#db/tables/flow-run";
import { work_pool, work_queue } from "#db/tables/work-pool";
import type { Micros } from "#lib/clock";
import type { Portions } from "#lib/portions";
import type { StateType } from "#wire/state";
import { each, laterThan, list } from "#db/sql";
import { WorkspaceStore } from "#db/workspace-store";

export type WorkPoolRow = typeof work_pool.$inferSelect;
export type WorkQueueRow = typeof work_queue.$inferSelect;

/** Shows, makes and changes rows of work pools. */
export const workPools = codec(work_pool, {
  // Answers show the storage with every field.
  omit: ["workspace_id", "storage_configuration", "last_transitioned_status_at", "last_status_event_id"],
});

/** Shows, makes and changes rows of work queues. */
export const workQueues = codec(work_queue, { omit: ["workspace_id", "status"], preset: { status: "NOT_READY" } });

/** A queue with what answers show of its pool. */
export type QueueWithPool = WorkQueueRow & { work_pool_name: string; work_pool_type: string };

/** `active_slots` is counted only if there is a limit. */
export type Counted<Row> = Row & { active_slots: number | null };

/** A run that occupies a slot. */
export type SlotHolder = Pick<
  FlowRunRow,
  "id" | "name" | "work_queue_id" | "state_type" | "state_name" | "start_time" | "state_timestamp"
>;

/** Prefect: the pool of queues that were created without a pool. */
export const AGENT_POOL = "default-agent-pool";

/** Prefect: runs in these states count against limits when workers poll. `/work_queues` also counts CANCELLING. */
export const POOL_SLOT_TYPES: readonly StateType[] = ["PENDING", "RUNNING"];
export const QUEUE_SLOT_TYPES: readonly StateType[] = ["PENDING", "RUNNING", "CANCELLING"];

const queueColumns = sql`${work_queue}.*, p.name as work_pool_name, p.type as work_pool_type`;
const POOL_IN_LIST = shortenedColumns(work_pool);
const QUEUE_IN_LIST = sql`${shortenedColumns(work_queue)}, p.name as work_pool_name, p.type as work_pool_type`;

const inOrder = (order: "priority" | "name", limit: number, offset = 0) =>
  sql`order by ${work_queue[order]}, ${work_queue.created} limit ${limit} offset ${offset}`;
const queuesWithPools = sql`${work_queue} join ${work_pool} p on p.workspace_id = ${work_queue.workspace_id} and p.id = ${work_queue.work_pool_id}`;

/** Runs in slots have no due time, so the index of live runs finds them by their queue. */
const holding = (workspaceId: string, types: readonly StateType[], queues: SQL) => sql`r.workspace_id = ${workspaceId}
  and r.end_time is null and r.next_scheduled_start_time is null and r.work_queue_id in ${queues}
  and r.state_type in ${list(types)}`;

/** From how many runs one statement removes a deleted queue. */
const RUNS_AT_ONCE = 2_000;

/** The pools and queues of one workspace. */
export class WorkPoolStore extends WorkspaceStore {
  /** The pool of this name, or undefined. */
  readPoolByName(name: string): Promise<WorkPoolRow | undefined> {
    return this.db.first(this.db.build.select().from(work_pool).where(this.named(name)));
  }

  /** The pool of this name with its slots counted, or undefined. */
  async readCountedPool(name: string): Promise<Counted<WorkPoolRow> | undefined> {
    return (await this.pools(sql`${work_pool}.*`, this.named(name)))[0];
  }

  /** A page of pools by name; `where` comes from the filters. */
  async listPools(where: SQL, limit: number, offset: number): Promise<Portions<Counted<WorkPoolRow>>> {
    const page = sql`${where} order by ${work_pool.name} limit ${limit} offset ${offset}`;
    return inPortions(
      await this.pools(POOL_IN_LIST, page),
      longColumns(work_pool),
      ({ id }) => id,
      (ids) => this.pools(sql`${work_pool}.*`, this.among(work_pool, ids)),
    );
  }

  private pools(columns: SQL, where: SQL): Promise<Counted<WorkPoolRow>[]> {
    const queues = sql`(select q.id from ${work_queue} q where q.workspace_id = ${this.workspaceId} and q.work_pool_id = ${work_pool.id})`;
    return this.db
      .rows(sql`select ${columns}, ${this.slots(work_pool.concurrency_limit, POOL_SLOT_TYPES, queues)} as active_slots
      from ${work_pool} where ${where}`);
  }

  /** How many pools there are. */
  countPools(where: SQL): Promise<number> {
    return this.countRows(work_pool, where);
  }

  /** The pool of this name and all its queues by priority, in one round trip. */
  async readPoolWithQueues(name: string): Promise<{ pool: WorkPoolRow | undefined; queues: QueueWithPool[] }> {
    const [pools = [], queues = []] = await this.db.readAll([
      this.db.build.select().from(work_pool).where(this.named(name)),
      sql`select ${queueColumns} from ${queuesWithPools} where ${work_queue.workspace_id} = ${this.workspaceId}
        and ${work_queue.work_pool_id} = ${this.idOf(name)} order by ${work_queue.priority}, ${work_queue.created}`,
    ]);
    return { pool: pools[0] as WorkPoolRow | undefined, queues: queues as QueueWithPool[] };
  }

  /** A queue with its slots counted, or undefined. The key is the queue's id, or the names of pool and queue. */
  async readCountedQueue(key: QueueKey, types: readonly StateType[]): Promise<Counted<QueueWithPool> | undefined> {
    const where =
      "id" in key
        ? sql`${work_queue.id} = ${key.id}`
        : sql`${work_queue.work_pool_id} = ${this.idOf(key.pool)} and ${work_queue.name} = ${key.queue}`;
    const own = sql`${work_queue.workspace_id} = ${this.workspaceId} and ${where}`;
    return (await this.queues(queueColumns, own, types, inOrder("priority", 1)))[0];
  }

  /** Prefect: the queue of this name in the pool of agents. Without that pool, the queue of this name in any pool. */
  async readAgentQueue(name: string): Promise<Counted<QueueWithPool> | undefined> {
    const pool = this.idOf(AGENT_POOL);
    const where = sql`${work_queue.workspace_id} = ${this.workspaceId} and ${work_queue.name} = ${name}
      and (${pool} is null or ${work_queue.work_pool_id} = ${pool})`;
    return (await this.queues(queueColumns, where, QUEUE_SLOT_TYPES, inOrder("name", 1)))[0];
  }

  /** A page of queues; `where` comes from the filters. */
  async listQueues(
    where: SQL,
    order: "priority" | "name",
    types: readonly StateType[],
    limit: number,
    offset: number,
  ): Promise<Portions<Counted<QueueWithPool>>> {
    return inPortions(
      await this.queues(QUEUE_IN_LIST, where, types, inOrder(order, limit, offset)),
      longColumns(work_queue),
      ({ id }) => id,
      (ids) => this.queues(queueColumns, this.among(work_queue, ids), types),
    );
  }

  private queues(
    columns: SQL,
    where: SQL,
    types: readonly StateType[],
    rest = sql``,
  ): Promise<Counted<QueueWithPool>[]> {
    const own = sql`(select ${work_queue.id})`;
    return this.db.rows(sql`select ${columns}, ${this.slots(work_queue.concurrency_limit, types, own)} as active_slots
      from ${queuesWithPools} where ${where} ${rest}`);
  }

  private among(table: typeof work_pool | typeof work_queue, ids: readonly string[]): SQL {
    return sql`${table.workspace_id} = ${this.workspaceId} and ${table.id} in ${list(ids)}`;
  }

  /** The runs that occupy slots of these queues, by id, at most `limit` of each queue. */
  readSlotHolders(
    queueIds: readonly string[],
    types: readonly StateType[],
    limit: number,
    offset = 0,
  ): Promise<SlotHolder[]> {
    return this.db.rows(sql`select id, name, work_queue_id, state_type, state_name, start_time, state_timestamp from (
        select r.*, row_number() over (partition by r.work_queue_id order by r.id) as place from ${flow_run} r indexed by flow_run_live
        where ${holding(this.workspaceId, types, list(queueIds))}
      ) where place > ${offset} and place <= ${offset + limit} order by id`);
  }

  /** How many runs occupy slots of each of these queues. */
  async countSlotHolders(queueIds: readonly string[], types: readonly StateType[]): Promise<Map<string, number>> {
    const rows = await this.db.rows<{ id: string; count: number }>(
      sql`select r.work_queue_id as id, count(*) as count from ${flow_run} r indexed by flow_run_live
        where ${holding(this.workspaceId, types, list(queueIds))} group by 1`,
    );
    return new Map(rows.map(({ id, count }) => [id, count]));
  }

  /** How many runs of a queue are late. */
  async countLateRuns(queueId: string): Promise<number> {
    const [row] = await this.db.rows<{ count: number }>(
      sql`select count(*) as count from ${flow_run} r indexed by flow_run_live
        where r.end_time is null and r.next_scheduled_start_time > 0 and r.workspace_id = ${this.workspaceId}
        and r.work_queue_id = ${queueId} and r.state_name = 'Late'`,
    );
    return row?.count ?? 0;
  }

  /** Writes a new pool. A name that is taken violates the table's unique index. */
  insertPool(row: WorkPoolRow): Statement {
    return this.db.build.insert(work_pool).values(row);
  }

  /** Writes a new queue. A name that is taken in its pool violates the table's unique index. */
  insertQueue(row: WorkQueueRow): Statement {
    return this.db.build.insert(work_queue).values(row);
  }

  /** Changes a pool. */
  updatePool(id: string, changes: Partial<WorkPoolRow> & Pick<WorkPoolRow, "updated">): Statement {
    const updated = laterThan(work_pool.updated, changes.updated);
    return this.db.build
      .update(work_pool)
      .set({ ...changes, updated })
      .where(this.byId(work_pool, id));
  }

  /** Changes a queue. */
  updateQueue(id: string, changes: Partial<WorkQueueRow>): Statement {
    return this.db.build.update(work_queue).set(changes).where(this.byId(work_queue, id));
  }

  /** Sets the priorities of queues. Gives no statement without queues. */
  setPriorities(ranks: readonly { id: string; priority: number }[], now: Micros): Statement[] {
    if (ranks.length === 0) return [];
    return [
      sql`update ${work_queue} set priority = value ->> 'priority', updated = ${now}
        from ${each(ranks)} where workspace_id = ${this.workspaceId} and ${work_queue.id} = value ->> 'id'`,
    ];
  }

  /** Removes a queue, and clears it in its deployments and first runs. `releaseAll` clears it in the other runs. */
  removeQueue(id: string): Statement[] {
    return [
      ...this.release(sql`(${id})`),
      sql`delete from ${work_queue} where workspace_id = ${this.workspaceId} and id = ${id}`,
    ];
  }

  /** Removes a pool with its queues, and clears the queues in their deployments and first runs; see `releaseAll`. */
  removePool(id: string): Statement[] {
    const queues = sql`(select id from ${work_queue} where workspace_id = ${this.workspaceId} and work_pool_id = ${id})`;
    return [
      ...this.release(queues),
      sql`delete from ${work_queue} where workspace_id = ${this.workspaceId} and work_pool_id = ${id}`,
      sql`delete from ${work_pool} where workspace_id = ${this.workspaceId} and id = ${id}`,
    ];
  }

  /** Clears removed queues in the other runs with them, batch by batch. Answers show these runs without a queue. */
  async releaseAll(queueIds: readonly string[]): Promise<void> {
    const queues = list(queueIds);
    for (let changes = RUNS_AT_ONCE; changes >= RUNS_AT_ONCE;)
      ({ changes } = await this.db.run(this.releaseRuns(queues)));
  }

  private release(queues: SQL): Statement[] {
    const named = sql`workspace_id = ${this.workspaceId} and work_queue_id in ${queues}`;
    return [this.releaseRuns(queues), sql`update ${deployment} set work_queue_id = null where ${named}`];
  }

  /** Runs that have ended keep the id of a removed queue, because no index finds these runs. No answer shows the id. */
  private releaseRuns(queues: SQL): SQL {
    return sql`update ${flow_run} set work_queue_id = null where workspace_id = ${this.workspaceId} and id in (
      select r.id from ${flow_run} r indexed by flow_run_live where r.end_time is null
        and r.workspace_id = ${this.workspaceId} and r.work_queue_id in ${queues} limit ${RUNS_AT_ONCE})`;
  }

  private named(name: string): SQL {
    return sql`${work_pool.workspace_id} = ${this.workspaceId} and ${work_pool.name} = ${name}`;
  }

  private byId(table: typeof work_pool | typeof work_queue, id: string): SQL {
    return sql`${table.workspace_id} = ${this.workspaceId} and ${table.id} = ${id}`;
  }

  private idOf(name: string): SQL {
    return sql`(select p.id from ${work_pool} p where p.workspace_id = ${this.workspaceId} and p.name = ${name})`;
  }

  private slots(limit: SQLWrapper, types: readonly StateType[], queues: SQL): SQL {
    return sql`case when ${limit} is null then null else (select count(*) from ${flow_run} r indexed by flow_run_live
      where ${holding(this.workspaceId, types, queues)}) end`;
  }
}

/** How a caller names a queue. */
type QueueKey = { id: string } | { pool: string; queue: string };
