/** Task runs. Their states are JSON in the row, so that a run that is reported in one batch is one row. */
import { sql } from "drizzle-orm";
import { index, primaryKey, sqliteTable } from "drizzle-orm/sqlite-core";
import { duration, flag, integer, list, micros, object, stamps, text, uuid, workspaceId } from "#db/columns";
import { inputsForm } from "#db/short/inputs";
import { taskPolicyForm } from "#db/short/policy";
import type { State } from "#wire/state";

export const task_run = sqliteTable(
  "task_run",
  {
    workspace_id: uuid({ id: "workspace" }).notNull(),
    id: uuid({ id: "uuid" }).notNull(),
    ...stamps(),
    name: text().notNull(),
    flow_run_id: uuid({ id: "uuid" }),
    task_key: text().notNull(),
    dynamic_key: text({ id: "uuid" }).notNull(),
    cache_key: text(),
    cache_expiration: micros(),
    task_version: text(),
    empirical_policy: object({ long: true, form: taskPolicyForm }).notNull(),
    tags: list<string>({ long: true }).notNull(),
    labels: object({ long: true }).notNull(),
    task_inputs: object({ long: true, form: inputsForm }).notNull(),
    state_id: uuid({ id: "uuid" }),
    state_type: text(),
    state_name: text(),
    state_timestamp: micros(),
    /** All states so far as a JSON array, by timestamp, in the short form of `db/short/states.ts`. The present state is included. */
    states: list<State>({ long: true }).notNull(),
    run_count: integer().notNull(),
    flow_run_run_count: integer().notNull(),
    expected_start_time: micros(),
    next_scheduled_start_time: micros(),
    start_time: micros(),
    end_time: micros(),
    total_run_time: duration().notNull(),
    /** 1 for a run that was put in the queue of the task workers; null for all other runs. */
    background: flag(),
    /** The `keyHash` of a task run of a flow run; null for all other task runs, and in rows with their ids as text. */
    key_hash: integer(),
  },
  (t) => [
    primaryKey({ columns: [t.workspace_id, t.id] }),
    // The task runs of a flow run, and the upsert of a task run by its keys. A row is in one of the two indexes.
    index("task_run_key")
      .on(t.flow_run_id, t.key_hash)
      .where(sql`key_hash is not null`),
    index("task_run_flow_run")
      .on(t.flow_run_id, t.task_key, t.dynamic_key)
      .where(sql`typeof(flow_run_id) = 'text'`),
    // The few task runs that started, or were expected to start, more than an hour after they got their id (`db/task-run-starts.ts`).
    index("task_run_waited")
      .on(t.workspace_id, t.expected_start_time, t.start_time)
      .where(
        sql`typeof(id) = 'blob' and id < unhex(printf('%012x', (max(coalesce(start_time, expected_start_time), coalesce(expected_start_time, start_time)) - 3600000000) / 1000))`,
      ),
    // Background tasks that may be waiting for a task worker. Other task runs have no entry.
    index("task_run_waiting")
      .on(t.workspace_id, t.state_timestamp, t.id)
      .where(sql`background = 1 and state_type = 'SCHEDULED'`),
  ],
);

/** Completed states of tasks that are cached under a cache key. */
export const task_run_state_cache = sqliteTable(
  "task_run_state_cache",
  {
    workspace_id: workspaceId(),
    cache_key: text().notNull(),
    state_id: uuid().notNull(),
    created: micros().notNull(),
    cache_expiration: micros(),
    /** The stored state (`wire/state.ts`) as JSON. */
    state: object<State>().notNull(),
  },
  (t) => [primaryKey({ columns: [t.workspace_id, t.cache_key, t.state_id] })],
);
