/** Random events in D1, and the tools that move them to the archive. */
import { env } from "cloudflare:test";
import { afterEach, beforeEach, vi } from "vitest";
import { Archive } from "#archive/store";
import { Database } from "#db/database";
import { type Env, parseSettings } from "#env";
import type { MoveTools } from "#events/archived-move";
import { ReceivedEvent } from "#events/event";
import { EventReader } from "#events/read-events";
import { shownSince } from "#events/retention";
import { buildSegments, type Segment, writeSegments } from "#events/segments";
import { systemIds } from "#lib/clock";
import { noCost } from "#lib/cost";
import { archiveEvents } from "#services/archive-events";
import { makeTools } from "#tools";
import { printTime } from "#wire/dates";
import { r2 } from "../archive/world";

export const HOUR = 3_600_000_000;
export const DAY = 24 * HOUR;
export const NOW = 1_800_000_000_000_000 + HOUR / 2;
const ids = systemIds();

interface Stores {
  d1?: D1Database;
  bucket?: R2Bucket;
}

/** Tools with a fixed clock. The archive repeats no call late. */
export function archiveTools(
  workspaceId: string,
  { now = NOW, vars = {}, d1 = env.DB, bucket = r2() }: Stores & { now?: number; vars?: Partial<Env> } = {},
): MoveTools {
  return {
    ...makeTools(env, workspaceId, () => {}),
    settings: parseSettings({ ...env, ...vars }),
    clock: () => now,
    db: new Database(d1, noCost()),
    archive: new Archive(bucket, noCost(), async () => {}),
  };
}

/** What an event is made of. */
export interface Wanted {
  age: number;
  name?: string;
  about?: string;
  related?: readonly string[];
  payload?: Record<string, unknown>;
}

export function anEvent({ age, name = "test.happened", about = "thing.0", related = [], payload = {} }: Wanted) {
  const occurred = NOW - age;
  return ReceivedEvent.parse({
    occurred: printTime(occurred),
    event: name,
    resource: { "prefect.resource.id": about },
    related: related.map((id) => ({ "prefect.resource.id": id, "prefect.resource.role": "flow-run" })),
    payload,
    id: ids.ordered(occurred),
    follows: null,
    received: printTime(occurred),
  });
}

/** Segments with one batch of events each, as the stream makes them `ago` before now. */
export function segmentsOf(wanted: readonly Wanted[], ago: number): Segment[] {
  const gathered = wanted.map((one) => {
    const event = anEvent(one);
    return { event, occurred: NOW - one.age, json: JSON.stringify(event) };
  });
  return buildSegments(gathered, NOW - ago, ids);
}

/** Writes segments in one transaction. */
export function writeAll(workspaceId: string, segments: readonly Segment[], isWork = false): Promise<void> {
  return writeSegments(new Database(env.DB, noCost()), workspaceId, segments, () => isWork);
}

/** Writes events as one batch of the stream, `ago` before now. */
export async function write(
  workspaceId: string,
  wanted: readonly Wanted[],
  { ago, isWork = false }: { ago: number; isWork?: boolean },
): Promise<ReceivedEvent[]> {
  const segments = segmentsOf(wanted, ago);
  await writeAll(workspaceId, segments, isWork);
  return segments.flatMap(({ events }) => events.map(({ event }) => event));
}

export function readerOf(tools: MoveTools): EventReader {
  return new EventReader(tools.db, tools.workspaceId, shownSince(tools, tools.clock()), tools.archive);
}

const countOf = async (sql: string, ...values: unknown[]) =>
  Number(
    await env.DB.prepare(sql)
      .bind(...values)
      .first("n"),
  );

export const segmentsIn = (workspaceId: string) =>
  countOf("select count(*) as n from event_segment where workspace_id = ?", workspaceId);
export const bundlesIn = (workspaceId: string) =>
  countOf("select count(*) as n from event_archive where workspace_id = ?", workspaceId);
export const indexRowsIn = (workspaceId: string) =>
  countOf("select count(*) as n from event_resource where workspace_id = ?", workspaceId);

/** The keys of the workspace's objects. */
export async function objectsOf(workspaceId: string): Promise<string[]> {
  return (await r2().list({ prefix: `${workspaceId}/` })).objects.map(({ key }) => key);
}

/** Moves everything that is due, as a new round. */
export async function moveAll(tools: MoveTools): Promise<void> {
  await env.DB.prepare("delete from sweep_mark where name like 'retention: archive events%'").run();
  for (let turns = 0; turns < 40; turns++) {
    await archiveEvents(tools);
    const open = await countOf(
      "select count(*) as n from sweep_mark where name = 'retention: archive events' and mark ->> 'cursor' is not null",
    );
    if (open === 0) return;
  }
  throw new Error("the round does not come to an end");
}

/** Removes all events and marks, of all workspaces. */
export async function emptyEvents(): Promise<void> {
  const tables = ["event_segment", "event_resource", "event_archive", "event_restored_hour"];
  await env.DB.batch([
    ...tables.map((table) => env.DB.prepare(`delete from ${table}`)),
    env.DB.prepare("delete from sweep_mark where name <> 'outbox'"),
  ]);
}

/** The outbox has proved that all states before now have their events. */
export async function settleOutbox(): Promise<void> {
  await env.DB.prepare("insert or replace into sweep_mark (name, mark) values ('outbox', ?)")
    .bind(ids.ordered(NOW))
    .run();
}

/** Before each test of a file there are no events, and the outbox has nothing to send. The lines of the log are hidden. */
export function beginEmpty(): void {
  beforeEach(async () => {
    await emptyEvents();
    await settleOutbox();
    silence();
  });
  afterEach(() => void vi.restoreAllMocks());
}

/** Hides the lines of the log. */
export function silence(): void {
  for (const level of ["error", "warn"] as const) vi.spyOn(console, level).mockImplementation(() => {});
}
