/** Deployments, their schedules and their versions. */
import { sql } from "drizzle-orm";
import { index, primaryKey, sqliteTable, uniqueIndex } from "drizzle-orm/sqlite-core";
import { flag, entity, integer, list, micros, object, stamps, text, uuid, workspaceId } from "#db/columns";
import type { Schedule } from "#wire/schedule";
import type { MissedRuns, VersionInfo } from "#wire/deployments";

export const deployment = sqliteTable(
  "deployment",
  {
    ...entity(),
    name: text().notNull(),
    flow_id: uuid().notNull(),
    description: text({ long: true }),
    version: text(),
    version_info: object<VersionInfo>({ long: true }),
    paused: flag().notNull(),
    status: text().notNull(),
    last_polled: micros(),
    concurrency_limit: integer(),
    concurrency_limit_id: uuid(),
    concurrency_options: object(),
    job_variables: object({ long: true }).notNull(),
    parameters: object({ long: true }).notNull(),
    parameter_openapi_schema: object({ long: true }),
    enforce_parameter_schema: flag().notNull(),
    pull_steps: list<Record<string, unknown>>({ long: true }),
    path: text({ long: true }),
    entrypoint: text({ long: true }),
    tags: list<string>({ long: true }).notNull(),
    labels: object({ long: true }).notNull(),
    work_queue_id: uuid(),
    work_queue_name: text(),
    storage_document_id: uuid(),
    infrastructure_document_id: uuid(),
    created_by: object(),
    updated_by: object(),
    /** Not in Prefect: how the sweeps handle silent runs (`wire/deployments.ts`); null for the defaults. */
    reliability: object(),
  },
  (t) => [
    primaryKey({ columns: [t.workspace_id, t.id] }),
    uniqueIndex("deployment_name").on(t.workspace_id, t.flow_id, t.name),
    index("deployment_work_queue")
      .on(t.workspace_id, t.work_queue_id)
      .where(sql`work_queue_id is not null`),
    // The few deployments that name block documents.
    index("deployment_infrastructure_document")
      .on(t.workspace_id, t.infrastructure_document_id)
      .where(sql`infrastructure_document_id is not null`),
    index("deployment_storage_document")
      .on(t.workspace_id, t.storage_document_id)
      .where(sql`storage_document_id is not null`),
    // READY served deployments by their last poll. The objects of work pools store the polls of pools.
    index("deployment_served")
      .on(t.last_polled)
      .where(sql`status = 'READY' and work_queue_id is null`),
  ],
);

export const deployment_schedule = sqliteTable(
  "deployment_schedule",
  {
    workspace_id: workspaceId(),
    deployment_id: uuid().notNull(),
    id: uuid().notNull(),
    ...stamps(),
    /** The schedule as the client sent it. */
    schedule: object<Schedule>().notNull(),
    active: flag().notNull(),
    max_scheduled_runs: integer(),
    parameters: object().notNull(),
    slug: text(),
    /** Runs are created up to this time. At first, the time of the last change. The next creation of runs is due a little earlier. */
    scheduled_until: micros(),
    /** When the next creation of runs is due; null if the schedule is not active or has ended. */
    top_up_at: micros(),
    /** Not in Prefect: how runs are handled that did not start in time; null if all of them run. */
    missed_runs: object<MissedRuns>(),
  },
  (t) => [
    primaryKey({ columns: [t.workspace_id, t.deployment_id, t.id] }),
    index("deployment_schedule_top_up")
      .on(t.top_up_at)
      .where(sql`top_up_at is not null`),
    // The few schedules that skip missed runs.
    index("deployment_schedule_missed_runs")
      .on(t.workspace_id, t.deployment_id, t.id)
      .where(sql`missed_runs is not null`),
    // A slug is unique in its deployment.
    uniqueIndex("deployment_schedule_slug")
      .on(t.workspace_id, t.deployment_id, t.slug)
      .where(sql`slug is not null`),
  ],
);

/** The versions of a deployment's content, in order. The row of the deployment has the newest content. */
export const deployment_version = sqliteTable(
  "deployment_version",
  {
    workspace_id: workspaceId(),
    deployment_id: uuid().notNull(),
    /** From 1, without gaps. One seek finds the newest version. */
    ordinal: integer().notNull(),
    id: uuid().notNull(),
    created: micros().notNull(),
    /** When the version was archived; null if the version is not archived. */
    archived: micros(),
    /**
     * JSON object of the deployment's columns that shape a run (`resources/deployments/versions-store.ts`). It is the
     * last column, because it may be large.
     */
    content: object().notNull(),
  },
  (t) => [primaryKey({ columns: [t.workspace_id, t.deployment_id, t.ordinal] })],
);
