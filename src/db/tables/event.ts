/** Events in segments, what finds them, and how far the outbox is proved. */
import { sql } from "drizzle-orm";
import { index, primaryKey, sqliteTable, uniqueIndex } from "drizzle-orm/sqlite-core";
import { integer, json, list, micros, object, text, uuid, workspaceId } from "#db/columns";

export const event_segment = sqliteTable(
  "event_segment",
  {
    workspace_id: workspaceId(),
    /** The hour of `occurred` of all its events, in microseconds. */
    hour: micros().notNull(),
    /** Time-ordered by when it was written. */
    id: uuid().notNull(),
    first_occurred: micros().notNull(),
    last_occurred: micros().notNull(),
    event_count: integer().notNull(),
    /** JSON object: event name → how many. */
    counts: object<Record<string, number>>().notNull(),
    /** 0 until the consumer of the queue has recorded it; 2 where it failed for good and lies in `dead_letter`. */
    consumed: integer().notNull(),
    /**
     * JSON array of the resources by which its events are found: those of its rows in `event_resource`; and of its heartbeats of
     * flow runs (`events/segments.ts`), so that whoever looks for them need not open the events.
     */
    resources: list<string>().notNull(),
    /** JSON array of the ids of its events about flow runs, by which the outbox knows a state's event was sent. */
    run_event_ids: list<string>().notNull(),
    /** JSON array of the events as they are shown on the wire, by `occurred`. Last, for what comes after it is slow to read. */
    events: list().notNull(),
  },
  (t) => [
    primaryKey({ columns: [t.workspace_id, t.hour, t.id] }),
    // What the queue has still to bring, or lost.
    index("event_segment_waiting")
      .on(t.id)
      .where(sql`consumed = 0`),
  ],
);

/**
 * Index rows for what a page cannot afford to scan: the flow runs that an event involves, and what an event is about where
 * that is no run. A task run's events are found through its flow run, or by its own id where it has none. A row leads to the
 * segments of some seconds, which say themselves whether they hold the resource: a row for each would be several for a run.
 */
export const event_resource = sqliteTable(
  "event_resource",
  {
    workspace_id: workspaceId(),
    resource_id: text().notNull(),
    hour: micros().notNull(),
    /** The segments' ids lie from here … */
    first_id: uuid().notNull(),
    /** … to here. */
    last_id: uuid().notNull(),
  },
  (t) => [primaryKey({ columns: [t.workspace_id, t.resource_id, t.hour, t.first_id] })],
);

/** The place that a sweep has come to, by the name of the sweep: a time-ordered id, or JSON (`services/kit.ts`). */
export const sweep_mark = sqliteTable("sweep_mark", {
  name: text().primaryKey(),
  mark: uuid().notNull(),
});

/** What failed for good: messages that a queue gave up, and single items that failed alone. Kept until somebody replays or drops it. */
export const dead_letter = sqliteTable(
  "dead_letter",
  {
    id: uuid().primaryKey(),
    created: micros().notNull(),
    /** Where it comes from: a queue's name, or the short name of the work that failed. */
    queue: text().notNull(),
    message: json().notNull(),
    /** Rows from before this column are of the first workspace. */
    workspace_id: workspaceId().default("00000000-0000-4000-8000-000000000001"),
    /** What the item is known by within its queue; null in rows from before this column. */
    key: text(),
    /** Why it failed the last time, in words. */
    reason: text(),
  },
  (t) => [
    // An item that fails again is kept once.
    uniqueIndex("dead_letter_key").on(t.workspace_id, t.queue, t.key),
    index("dead_letter_created").on(t.workspace_id, t.created, t.id),
  ],
);
