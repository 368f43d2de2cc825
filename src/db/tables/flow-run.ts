/** Flow runs. The table with the most writes. Each index costs one more row for every run, so each index has a comment with its purpose. */
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
import { type CreatedBy, createdByForm } from "#db/short/created-by";
import { labelsForm } from "#db/short/labels";
import { flowPolicyForm } from "#db/short/policy";

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
    empirical_policy: object({ long: true, form: flowPolicyForm }).notNull(),
    tags: list<string>({ long: true }).notNull(),
    labels: object<Record<string, string>>({ long: true, form: labelsForm }).notNull(),
    created_by: object<CreatedBy>({ form: createdByForm }),
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
     * The ids of the run's newest states, oldest first, as a JSON array, so that the states need no index. Older ids
     * are in `flow_run_state_page` (`db/state-pages.ts`).
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
    // Lists, windows and histories by start time: the usual order of runs for users.
    index("flow_run_start").on(t.workspace_id, sql`coalesce("start_time", "expected_start_time")`),
    // The runs of a deployment by start time, and the future runs that a changed schedule removes.
    index("flow_run_deployment")
      .on(t.workspace_id, t.deployment_id, sql`coalesce("start_time", "expected_start_time")`)
      .where(sql`deployment_id is not null`),
    // Runs that have not ended. First the runs without a scheduled time (for slots, zombies and cancellations), then Scheduled runs by
    // their due time (for the objects of work pools, polls of served flows, and late marking). The time is the first column, because
    // sweeps read all workspaces. Only the start and the end of a run change the index.
    index("flow_run_live")
      .on(t.next_scheduled_start_time, t.workspace_id, t.work_queue_id, t.deployment_id)
      .where(sql`end_time is null`),
    // Paused and Cancelling runs, for the sweeps of expired pauses and stuck cancellations. Other runs have no entry.
    index("flow_run_halted")
      .on(t.state_type, t.state_timestamp)
      .where(sql`state_type in ('PAUSED', 'CANCELLING')`),
    // The few runs that started before they were expected, or more than a day later (`db/expected-starts.ts`).
    index("flow_run_off_time")
      .on(t.workspace_id, t.expected_start_time, t.start_time)
      .where(sql`not (start_time between expected_start_time and expected_start_time + 86400000000)`),
    // The few runs that have ended in a state with the name of a state before the end (`db/live-runs.ts`).
    index("flow_run_ended_as_live")
      .on(t.workspace_id, t.state_name)
      .where(
        sql`end_time is not null and state_name in ('Scheduled', 'Late', 'AwaitingRetry', 'AwaitingConcurrencySlot', 'Pending', 'Running', 'Retrying', 'Paused', 'Suspended', 'Cancelling')`,
      ),
    // A flow has at most one run per idempotency key.
    uniqueIndex("flow_run_idempotency")
      .on(t.workspace_id, t.flow_id, t.idempotency_key)
      .where(sql`idempotency_key is not null`),
    // The few runs that name a block document.
    index("flow_run_infrastructure_document")
      .on(t.workspace_id, t.infrastructure_document_id)
      .where(sql`infrastructure_document_id is not null`),
    // The subflow of a parent's task run.
    index("flow_run_parent")
      .on(t.workspace_id, t.parent_task_run_id)
      .where(sql`parent_task_run_id is not null`),
  ],
);

/**
 * The number of a workspace's runs that start (`flow_run_start`) before a time, so that no request counts them. A job moves the time
 * forward. Few runs before that time are written, deleted or moved. If one is, triggers (in this table's migration) correct the count.
 */
export const flow_run_count = sqliteTable("flow_run_count", {
  workspace_id: workspaceId().primaryKey(),
  before: micros().notNull(),
  count: integer().notNull(),
});

/** States of flow runs. The time-ordered id alone is the key, so a sweep reads the states of a period as a range of keys. */
export const flow_run_state = sqliteTable("flow_run_state", {
  id: uuid().primaryKey(),
  workspace_id: workspaceId(),
  flow_run_id: uuid().notNull(),
  type: text().notNull(),
  name: text().notNull(),
  timestamp: micros().notNull(),
  message: text({ long: true }),
  data: json({ long: true }),
  /** In the short form of `db/short/details.ts`. */
  state_details: object({ long: true }).notNull(),
});

/** The ids of the older states of runs with very many states, so that the row of a run stays small. */
export const flow_run_state_page = sqliteTable(
  "flow_run_state_page",
  {
    workspace_id: workspaceId(),
    flow_run_id: uuid().notNull(),
    /** 0 for the oldest page. */
    ordinal: integer().notNull(),
    /** JSON array, oldest first. */
    state_ids: list<string>().notNull(),
  },
  (t) => [primaryKey({ columns: [t.workspace_id, t.flow_run_id, t.ordinal] })],
);

/** Inputs that runs wait for or receive. */
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
