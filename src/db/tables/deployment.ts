/** Deployments and their schedules. */
import { sql } from "drizzle-orm";
import { index, integer, primaryKey, sqliteTable, text, uniqueIndex } from "drizzle-orm/sqlite-core";
import { flag, json, micros, stamps, uuid, workspaceId } from "#db/columns";

export const deployment = sqliteTable(
  "deployment",
  {
    workspace_id: workspaceId(),
    id: uuid("id").notNull(),
    ...stamps(),
    name: text("name").notNull(),
    flow_id: uuid("flow_id").notNull(),
    description: text("description"),
    version: text("version"),
    version_info: json("version_info"),
    paused: flag("paused").notNull(),
    status: text("status").notNull(),
    last_polled: micros("last_polled"),
    concurrency_limit: integer("concurrency_limit"),
    concurrency_limit_id: uuid("concurrency_limit_id"),
    concurrency_options: json("concurrency_options"),
    job_variables: json("job_variables").notNull(),
    parameters: json("parameters").notNull(),
    parameter_openapi_schema: json("parameter_openapi_schema"),
    enforce_parameter_schema: flag("enforce_parameter_schema").notNull(),
    pull_steps: json("pull_steps"),
    path: text("path"),
    entrypoint: text("entrypoint"),
    tags: json("tags").notNull(),
    labels: json("labels").notNull(),
    work_queue_id: uuid("work_queue_id"),
    work_queue_name: text("work_queue_name"),
    storage_document_id: uuid("storage_document_id"),
    infrastructure_document_id: uuid("infrastructure_document_id"),
    created_by: json("created_by"),
    updated_by: json("updated_by"),
    /** What is ours alone: how its runs are kept honest; null for the defaults. */
    reliability: json("reliability"),
  },
  (t) => [
    primaryKey({ columns: [t.workspace_id, t.id] }),
    uniqueIndex("deployment_name").on(t.workspace_id, t.flow_id, t.name),
    index("deployment_work_queue")
      .on(t.workspace_id, t.work_queue_id)
      .where(sql`work_queue_id is not null`),
    // Served deployments that have not been asked for lately. Polls of pools are their objects' business.
    index("deployment_served")
      .on(t.last_polled)
      .where(sql`status = 'READY' and work_queue_id is null`),
  ],
);

export const deployment_schedule = sqliteTable(
  "deployment_schedule",
  {
    workspace_id: workspaceId(),
    deployment_id: uuid("deployment_id").notNull(),
    id: uuid("id").notNull(),
    ...stamps(),
    /** The schedule as it came over the wire. */
    schedule: json("schedule").notNull(),
    active: flag("active").notNull(),
    max_scheduled_runs: integer("max_scheduled_runs"),
    parameters: json("parameters").notNull(),
    slug: text("slug"),
    /** Runs have been made up to this moment, at first that of the last change; the next top-up is due a little before it. */
    scheduled_until: micros("scheduled_until"),
    /** When the next top-up is due; null where the schedule is not active or has ended. */
    top_up_at: micros("top_up_at"),
    /** What is ours alone: what becomes of runs that nobody began in time; null for all of them being run. */
    missed_runs: json("missed_runs"),
  },
  (t) => [
    primaryKey({ columns: [t.workspace_id, t.deployment_id, t.id] }),
    index("deployment_schedule_top_up")
      .on(t.top_up_at)
      .where(sql`top_up_at is not null`),
    // The few schedules that do not want all of their missed runs.
    index("deployment_schedule_missed_runs")
      .on(t.workspace_id, t.deployment_id, t.id)
      .where(sql`missed_runs is not null`),
    // A slug names one schedule of its deployment.
    uniqueIndex("deployment_schedule_slug")
      .on(t.workspace_id, t.deployment_id, t.slug)
      .where(sql`slug is not null`),
  ],
);
