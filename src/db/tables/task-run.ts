/** Task runs; their states are JSON in the row, so that a run reported in one batch is one row. */
import { sql } from "drizzle-orm";
import { index, integer, primaryKey, sqliteTable, text } from "drizzle-orm/sqlite-core";
import { flag, json, micros, stamps, uuid, workspaceId } from "#db/columns";

export const task_run = sqliteTable(
  "task_run",
  {
    workspace_id: workspaceId(),
    id: uuid("id").notNull(),
    ...stamps(),
    name: text("name").notNull(),
    flow_run_id: uuid("flow_run_id"),
    task_key: text("task_key").notNull(),
    dynamic_key: text("dynamic_key").notNull(),
    cache_key: text("cache_key"),
    cache_expiration: micros("cache_expiration"),
    task_version: text("task_version"),
    empirical_policy: json("empirical_policy").notNull(),
    tags: json("tags").notNull(),
    labels: json("labels").notNull(),
    task_inputs: json("task_inputs").notNull(),
    state_id: uuid("state_id"),
    state_type: text("state_type"),
    state_name: text("state_name"),
    state_timestamp: micros("state_timestamp"),
    /** All states so far as a JSON array of stored states (`wire/state.ts`), by timestamp; the present one is among them. */
    states: json("states").notNull(),
    run_count: integer("run_count").notNull(),
    flow_run_run_count: integer("flow_run_run_count").notNull(),
    expected_start_time: micros("expected_start_time"),
    next_scheduled_start_time: micros("next_scheduled_start_time"),
    start_time: micros("start_time"),
    end_time: micros("end_time"),
    total_run_time: micros("total_run_time").notNull(),
    /** 1 for a run that was put in the queue of the task workers; null for all others. */
    background: flag("background"),
  },
  (t) => [
    primaryKey({ columns: [t.workspace_id, t.id] }),
    // The tasks of a flow run; and the upsert of a task run by its keys.
    index("task_run_flow_run")
      .on(t.workspace_id, t.flow_run_id, t.task_key, t.dynamic_key)
      .where(sql`flow_run_id is not null`),
    // Background tasks that may be waiting for a task worker; no other task run has an entry.
    index("task_run_waiting")
      .on(t.workspace_id, t.state_timestamp, t.id)
      .where(sql`background = 1 and state_type = 'SCHEDULED'`),
  ],
);

/** Completed states of tasks that are kept under a cache key. */
export const task_run_state_cache = sqliteTable(
  "task_run_state_cache",
  {
    workspace_id: workspaceId(),
    cache_key: text("cache_key").notNull(),
    state_id: uuid("state_id").notNull(),
    created: micros("created").notNull(),
    cache_expiration: micros("cache_expiration"),
    /** The stored state (`wire/state.ts`) as JSON. */
    state: json("state").notNull(),
  },
  (t) => [primaryKey({ columns: [t.workspace_id, t.cache_key, t.state_id] })],
);
