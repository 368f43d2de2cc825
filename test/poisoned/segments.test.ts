import { env, evictDurableObject, SELF } from "cloudflare:test";
import { expect, test, vi } from "vitest";
import { systemClock, systemIds } from "#lib/clock";
import { objectName } from "#objects/client";
import { aResource, anEvent, connectAuthenticated } from "../events/world";
import { aFlowRun, api, WORKSPACE } from "../support/world";
import { ask, BAD_TIMES, failingJobs, type Question } from "./world";

vi.spyOn(console, "error").mockImplementation(() => {});

const HOUR = 3_600_000_000;
const clock = systemClock();
const ids = systemIds();
const deep = (depth: number) => `${'{"a":'.repeat(depth)}1${"}".repeat(depth)}`;

/** Writes a row, calls the function, and deletes the row. */
async function withRow<T>(
  table: string,
  row: Record<string, unknown>,
  key: string,
  work: () => Promise<T>,
): Promise<T> {
  const columns = Object.keys(row);
  await env.DB.prepare(`insert into ${table} (${columns.join(", ")}) values (${columns.map(() => "?").join(", ")})`)
    .bind(...Object.values(row))
    .run();
  try {
    return await work();
  } finally {
    await env.DB.prepare(`delete from ${table} where ${key} = ?`).bind(row[key]).run();
  }
}

// Logs

const logRecord = (fields: Record<string, unknown>) => ({
  id: ids.ordered(clock()),
  name: "old",
  level: 20,
  message: "old",
  timestamp: clock(),
  ...fields,
});

/** A download is streamed, so its status does not show a failure after the first part. */
async function missingOfDownload(runId: string, shows: readonly string[]): Promise<string[]> {
  try {
    const response = await SELF.fetch(`http://sluice/api/flow_runs/${runId}/logs/download`);
    const text = await response.text();
    return shows.filter((message) => !text.includes(message)).map((message) => `the download lacks ${message}`);
  } catch (error) {
    return [`the download: ${String(error)}`];
  }
}

const LOG_ROWS: readonly (readonly [string, Record<string, unknown>])[] = [
  ...BAD_TIMES.map(
    (time) =>
      [
        `is of ${time}`,
        { first_timestamp: time, last_timestamp: time, records: JSON.stringify([logRecord({ timestamp: time })]) },
      ] as const,
  ),
  ["has a level of 1e18", { max_level: 1e18, min_level: 1e18, records: JSON.stringify([logRecord({ level: 1e18 })]) }],
  ["is cut off", { records: '[{"id":"' }],
  ["is no list", { records: "7" }],
  ["nests 1,100 levels deep", { records: `[${deep(1100)}]` }],
  ["has a record without fields", { records: "[{}]" }],
  ["has records that are no objects", { records: '[null,7,"a",[1]]' }],
  [
    "has a record with fields of other types",
    { records: '[{"id":1,"name":null,"level":"a","message":{},"timestamp":[]}]' },
  ],
  ["is packed with an unknown dictionary", { records: new Uint8Array([255, 0]) }],
  ["is packed and cut off", { records: new Uint8Array([0, 77, 78]) }],
  ["is packed and empty", { records: new Uint8Array(0) }],
  ["has a record with an id that is not a time", { records: JSON.stringify([logRecord({ id: "x" })]) }],
];

test.for(LOG_ROWS)("logs are listed and downloaded although a segment %s", async ([, fields]) => {
  const run = await aFlowRun();
  const logs = ["first", "second"].map((message) => ({
    name: "n",
    level: 20,
    message: `${message}-${run.id}`,
    timestamp: new Date().toISOString(),
    flow_run_id: run.id,
  }));
  expect((await api("POST", "/logs/", logs)).status).toBe(201);
  const now = clock();
  const row = {
    workspace_id: WORKSPACE,
    run_id: run.id,
    first_timestamp: now,
    digest: crypto.randomUUID(),
    last_timestamp: now,
    min_level: 20,
    max_level: 20,
    record_count: 1,
    records: "[]",
    ...fields,
  };
  const shows = logs.map(({ message }) => message);
  const ofRun = { flow_run_id: { any_: [run.id] } };
  const questions = ["TIMESTAMP_ASC", "TIMESTAMP_DESC"].flatMap((sort): Question[] => [
    { method: "POST", path: "/logs/filter", body: { sort }, shows },
    { method: "POST", path: "/logs/filter", body: { sort, logs: ofRun }, shows },
    { method: "POST", path: "/logs/filter", body: { sort, logs: { ...ofRun, level: { ge_: 10 } } }, shows },
  ]);
  const minute = Math.floor(now / 60_000_000) * 60_000_000;
  const wrong = await withRow("log_segment", row, "digest", async () => {
    await env.DB.prepare("insert or ignore into log_minute (workspace_id, minute, run_id) values (?, ?, ?)")
      .bind(WORKSPACE, "first_timestamp" in fields ? fields["first_timestamp"] : minute, run.id)
      .run();
    return [...(await ask(questions)), ...(await missingOfDownload(run.id, shows)), ...(await failingJobs())];
  });
  await env.DB.prepare("delete from log_minute where run_id = ?").bind(run.id).run();
  expect(wrong).toEqual([]);
});

// Events

const DAY = 24 * HOUR;
const anEventJson = (fields: Record<string, unknown>) => {
  const { resource, related, ...event } = anEvent();
  return { ...event, resource, related, received: event.occurred, ...fields };
};
const listOf = (...events: string[]) => `[${events.join(",")}]`;
const withPayload = (payload: string) =>
  listOf(JSON.stringify(anEventJson({ payload: 0 })).replace('"payload":0', `"payload":${payload}`));

const EVENT_ROWS: readonly (readonly [string, Record<string, unknown>])[] = [
  ["has a payload 1,100 levels deep", { events: withPayload(deep(1100)) }],
  ["has a payload 100,000 levels deep", { events: withPayload(deep(100_000)) }],
  ["is cut off", { events: '[{"id":"' }],
  ["is no list", { events: "7" }],
  ["has an event without fields", { events: "[{}]" }],
  ["has events of 1e18", { events: listOf(JSON.stringify(anEventJson({ occurred: "1e18", received: null }))) }],
  ["has counts that are cut off", { counts: '{"a":' }],
  ["has resources that are cut off", { resources: '["a' }],
  ["has ids of runs' events that are cut off", { run_event_ids: '["a' }],
  ["has ids of runs' events that are no list", { run_event_ids: "7" }],
  ...BAD_TIMES.map((time) => [`is of ${time}`, { hour: time, first_occurred: time, last_occurred: time }] as const),
  ["is not recorded, and nests 1,100 levels deep", { consumed: 0, events: withPayload(deep(1100)) }],
  ["is not recorded, and is cut off", { consumed: 0, events: '[{"id":"' }],
];

const streamOf = () => env.EVENT_STREAM.get(env.EVENT_STREAM.idFromName(objectName(WORKSPACE)));

test.for(EVENT_ROWS)("events are accepted, found and swept although a segment %s", async ([, fields]) => {
  const now = clock();
  const resource = aResource();
  const [before, after] = [anEvent({ about: resource }), anEvent({ about: resource })];
  const run = await aFlowRun();
  const wrong: string[] = [];
  const send = async (event: unknown) => {
    const { status, body } = await api("POST", "/events", [event]);
    if (status !== 204) wrong.push(`POST /events: ${status} ${JSON.stringify(body)}`);
  };
  await send(before);
  const row = {
    workspace_id: WORKSPACE,
    hour: Math.floor(now / HOUR) * HOUR,
    id: ids.ordered(now),
    first_occurred: now,
    last_occurred: now,
    event_count: 1,
    counts: '{"test.happened":1}',
    consumed: 1,
    resources: JSON.stringify([resource]),
    run_event_ids: "[]",
    events: listOf(JSON.stringify(anEventJson({}))),
    ...fields,
  };
  const occurred = {
    since: new Date(Date.now() - 600_000).toISOString(),
    until: new Date(Date.now() + 600_000).toISOString(),
  };
  const shows = [before.id, after.id];
  const byResource = { resource: { id: [resource] }, occurred };
  await withRow("event_segment", row, "id", async () => {
    // The object that accepts events starts again and reads the recent segments.
    await evictDurableObject(streamOf());
    await send(after);
    wrong.push(
      ...(await ask([
        { method: "POST", path: "/events/filter", body: { filter: { occurred } }, shows },
        { method: "POST", path: "/events/filter", body: { filter: byResource }, shows },
        { method: "POST", path: "/events/filter", body: { filter: { ...byResource, order: "ASC" } }, shows },
        {
          method: "POST",
          path: "/events/filter",
          body: { filter: { occurred, event: { name: ["test.happened"] } } },
          shows,
        },
        ...["day", "event", "resource"].map((countable): Question => ({
          method: "POST",
          path: `/events/count-by/${countable}`,
          body: { filter: byResource },
          shows: [],
        })),
        { method: "GET", path: `/flow_runs/${run.id}/why`, shows: [] },
      ])),
      ...(await missingOfBackfill(byResource, shows)),
      ...(await failingJobs()),
    );
    const { status } = await api("DELETE", `/flow_runs/${run.id}`);
    if (status !== 204) wrong.push(`DELETE /flow_runs: ${status}`);
    wrong.push(...(await failingJobs((tools) => ({ ...tools, clock: () => now + 3 * HOUR }))));
    wrong.push(...(await failingJobs((tools) => ({ ...tools, clock: () => now + 9 * DAY }))));
  });
  expect(wrong).toEqual([]);
});

/** The stored events that a new listener does not get. */
async function missingOfBackfill(filter: unknown, shows: readonly string[]): Promise<string[]> {
  const socket = await connectAuthenticated("/events/out");
  socket.send({ type: "filter", filter });
  // A later event ends the wait.
  const last = anEvent({ about: (filter as { resource: { id: string[] } }).resource.id[0] ?? "" });
  await new Promise((resolve) => setTimeout(resolve, 150));
  await api("POST", "/events", [last]);
  await Promise.race([socket.closed, new Promise((resolve) => setTimeout(resolve, 250))]);
  const seen = JSON.stringify(socket.messages);
  socket.close();
  return shows.filter((id) => !seen.includes(id)).map((id) => `the backfill lacks ${id}`);
}
