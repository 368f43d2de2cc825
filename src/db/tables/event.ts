/** Segments of events, their addresses in the archive, the index of their resources, the marks of sweeps, and dead letters. */
import { sql } from "drizzle-orm";
import { index, primaryKey, sqliteTable, uniqueIndex } from "drizzle-orm/sqlite-core";
import { integer, json, list, micros, object, text, uuid, workspaceId } from "#db/columns";

export const event_segment = sqliteTable(
  "event_segment",
  {
    workspace_id: workspaceId(),
    /** The hour of `occurred` of all events in the segment, in microseconds. */
    hour: micros().notNull(),
    /** A time-ordered id with the time at which the segment was written. */
    id: uuid().notNull(),
    first_occurred: micros().notNull(),
    last_occurred: micros().notNull(),
    event_count: integer().notNull(),
    /** JSON object: event name → number of events. */
    counts: object<Record<string, number>>().notNull(),
    /**
     * 0 until the consumer of the queue has recorded the segment, then 1. 2 if recording failed permanently and the
     * segment is in `dead_letter`.
     */
    consumed: integer().notNull(),
    /**
     * JSON array: the number of bytes of the events' JSON (`1234 bytes`; older rows do not have it), then the resources by which the events
     * are found (the resources of the segment's rows in `event_resource`) and the heartbeats of flow runs (`events/segments.ts`). With
     * them a search for heartbeats does not open the events.
     */
    resources: list<string>().notNull(),
    /** JSON array of the ids of the segment's events about flow runs. With these ids the outbox knows that a state's event was sent. */
    run_event_ids: list<string>().notNull(),
    /**
     * Packed JSON array (`db/packed.ts`) of the events as answers show them, by `occurred`. It is the last column, because SQLite is slow to
     * read a column after it.
     */
    events: list().notNull(),
  },
  (t) => [
    primaryKey({ columns: [t.workspace_id, t.hour, t.id] }),
    // Segments that the queue has not delivered yet, or has lost.
    index("event_segment_waiting")
      .on(t.id)
      .where(sql`consumed = 0`),
  ],
);

/**
 * The index of resources: the flow runs that an event involves, and the resource of the event if the resource is not a run. A task
 * run's events are found by its flow run, or by the task run's own id if it has no flow run. A row names the segments of some seconds.
 * The column `resources` of a segment says whether the segment has the resource. So a short run has one or two rows. When the events
 * of an hour have moved to the archive, only the newest row of each resource is left. It leads to the bundles of the hour.
 */
export const event_resource = sqliteTable(
  "event_resource",
  {
    workspace_id: workspaceId(),
    resource_id: text().notNull(),
    hour: micros().notNull(),
    /** The smallest id of the segments. */
    first_id: uuid().notNull(),
    /** The largest id of the segments. */
    last_id: uuid().notNull(),
  },
  (t) => [primaryKey({ columns: [t.workspace_id, t.resource_id, t.hour, t.first_id] })],
);

/**
 * The events that have moved to the archive: a row for each bundle, which has events of one hour (`events/archived-*.ts`). An hour
 * may have several bundles, and segments in D1 besides. No event is in both.
 */
export const event_archive = sqliteTable(
  "event_archive",
  {
    workspace_id: workspaceId(),
    /** The hour of `occurred` of all events in the bundle. */
    hour: micros().notNull(),
    /** The id of the bundle. */
    id: uuid().notNull(),
    /** The address of the object (`archive/bundle.ts`). */
    key: text().notNull(),
    bytes: integer().notNull(),
    index_at: integer().notNull(),
    index_digest: text().notNull(),
    first_occurred: micros().notNull(),
    last_occurred: micros().notNull(),
    /** The smallest and the largest id of the segments from which the bundle was made. */
    first_id: uuid().notNull(),
    last_id: uuid().notNull(),
    event_count: integer().notNull(),
    /** JSON object: event name → number of events. Null if it would be long. */
    counts: object<Record<string, number>>(),
  },
  (t) => [primaryKey({ columns: [t.workspace_id, t.hour, t.id] })],
);

/** The hours whose events were written back from the archive. They do not move again until a time. */
export const event_restored_hour = sqliteTable(
  "event_restored_hour",
  {
    workspace_id: workspaceId(),
    hour: micros().notNull(),
    until: micros().notNull(),
  },
  (t) => [primaryKey({ columns: [t.workspace_id, t.hour] })],
);

/** The place that a sweep has reached, by the name of the sweep: a time-ordered id, or JSON (`services/turns.ts`). */
export const sweep_mark = sqliteTable("sweep_mark", {
  name: text().primaryKey(),
  mark: uuid().notNull(),
});

/** Messages that a queue gave up, and single items that failed permanently. A dead letter is stored until a request replays or drops it. */
export const dead_letter = sqliteTable(
  "dead_letter",
  {
    id: uuid().primaryKey(),
    created: micros().notNull(),
    /** The name of a queue, or the short name of the work that failed. */
    queue: text().notNull(),
    message: json().notNull(),
    /** Rows that are older than this column belong to the first workspace. */
    workspace_id: workspaceId().default("00000000-0000-4000-8000-000000000001"),
    /** The item's key within its queue; null in rows that are older than this column. */
    key: text(),
    /** The reason of the last failure. */
    reason: text(),
  },
  (t) => [
    // An item that fails again is stored once.
    uniqueIndex("dead_letter_key").on(t.workspace_id, t.queue, t.key),
    index("dead_letter_created").on(t.workspace_id, t.created, t.id),
  ],
);
