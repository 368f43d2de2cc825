/** Flow runs. The hottest table: each index is a row more for every run, so each says what it is for. */
import { sql } from "drizzle-orm";
import { index, primaryKey, sqliteTable, uniqueIndex } from "drizzle-orm/sqlite-core";
import {
  duration,
  entity,
  flag,
  integer,
  json,
  list,
  micros,
  object,
  stamps,
  text,
  uuid,
  workspaceId,
} from "#db/columns";

export const flow_run = sqliteTable(
  "flow_run",
  {
    ...entity(),
    name: text().notNull(),
    flow_id: uuid().notNull(),
    flow_version: text(),
    deployment_id: uuid(),
    deployment_version: text(),
    work_queue_id: uuid(),
    work_queue_name: text(),
    parameters: object({ long: true }).notNull(),
    idempotency_key: text(),
    context: object({ long: true }).notNull(),
    empirical_policy: object({ long: true }).notNull(),
    tags: list<string>({ long: true }).notNull(),
    labels: object<Record<string, string>>({ long: true }).notNull(),
    created_by: object(),
    parent_task_run_id: uuid(),
    auto_scheduled: flag().notNull(),
    infrastructure_document_id: uuid(),
    infrastructure_pid: text(),
    job_variables: object({ long: true }),
    state_id: uuid(),
    state_type: text(),
    state_name: text(),
    state_timestamp: micros(),
    /**
     * The ids of the run's newest states, oldest first, as a JSON array: the way to them without an index. The ids before
     * those are in `flow_run_state_page` (`db/state-pages.ts`).
     */
    state_ids: list<string>().notNull(),
    run_count: integer().notNull(),
    expected_start_time: micros(),
    next_scheduled_start_time: micros(),
    start_time: micros(),
    end_time: micros(),
    total_run_time: duration().notNull(),
  },
  (t) => [
    primaryKey({ columns: [t.workspace_id, t.id] }),
    // Lists, windows and histories by start: the order in which people look at runs.
    index("flow_run_start").on(t.workspace_id, sql`coalesce("start_time", "expected_start_time")`),
    // The runs of a deployment by start, and those of its future that a changed schedule removes.
    index("flow_run_deployment")
      .on(t.workspace_id, t.deployment_id, sql`coalesce("start_time", "expected_start_time")`)
      .where(sql`deployment_id is not null`),
    // Runs that have not ended. Scheduled ones by the time they are due (a work pool's object when it is rebuilt, polls of
    // served flows, late marking), then, without a time, those that are on their way (slots held, zombies, cancelling).
    // Begins with time, for sweeps look over all workspaces. Only the start and the end of a run touch it.
    index("flow_run_live")
      .on(t.next_scheduled_start_time, t.workspace_id, t.work_queue_id, t.deployment_id)
      .where(sql`end_time is null`),
    // Runs that somebody is to go on with or to end, for the sweeps of expired pauses and stuck cancellations. A row when
    // a run comes into one of the two; none when it leaves, and none for any other.
    index("flow_run_halted")
      .on(t.state_type, t.state_timestamp)
      .where(sql`state_type in ('PAUSED', 'CANCELLING')`),
    // One run for an idempotency key, per flow.
    uniqueIndex("flow_run_idempotency")
      .on(t.workspace_id, t.flow_id, t.idempotency_key)
      .where(sql`idempotency_key is not null`),
    // The subflow of a parent's task run.
    index("flow_run_parent")
      .on(t.workspace_id, t.parent_task_run_id)
      .where(sql`parent_task_run_id is not null`),
  ],
);

/**
 * How many runs of a workspace have a start (`flow_run_start`) before a time, so that nobody counts them again. A job moves the
 * time on; triggers of the migration that makes this table keep the count true where a run before that time comes, goes or
 * moves, which few do.
 */
export const flow_run_count = sqliteTable("flow_run_count", {
  workspace_id: workspaceId().primaryKey(),
  before: micros().notNull(),
  count: integer().notNull(),
});

/** States of flow runs, by their time-ordered id alone: a stretch of time is a range of keys, which the sweep walks. */
export const flow_run_state = sqliteTable("flow_run_state", {
  id: uuid().primaryKey(),
  workspace_id: workspaceId(),
  flow_run_id: uuid().notNull(),
  type: text().notNull(),
  name: text().notNull(),
  timestamp: micros().notNull(),
  message: text({ long: true }),
  data: json({ long: true }),
  state_details: object({ long: true }).notNull(),
});

/** The ids of the older states of runs that have had very many, so that the row of a run stays small. */
export const flow_run_state_page = sqliteTable(
  "flow_run_state_page",
  {
    workspace_id: workspaceId(),
    flow_run_id: uuid().notNull(),
    /** 0 for the oldest. */
    ordinal: integer().notNull(),
    /** JSON array, oldest first. */
    state_ids: list<string>().notNull(),
  },
  (t) => [primaryKey({ columns: [t.workspace_id, t.flow_run_id, t.ordinal] })],
);

/** Inputs that runs wait for or are sent. */
export const flow_run_input = sqliteTable(
  "flow_run_input",
  {
    workspace_id: workspaceId(),
    flow_run_id: uuid().notNull(),
    key: text().notNull(),
    id: uuid().notNull(),
    ...stamps(),
    value: text({ long: true }).notNull(),
    sender: text(),
  },
  (t) => [primaryKey({ columns: [t.workspace_id, t.flow_run_id, t.key] })],
);
