import { createExecutionContext, createScheduledController, env } from "cloudflare:test";
import { beforeAll, expect, test } from "vitest";
import type { Event } from "#events/event";
import { hourOf } from "#events/segments";
import worker from "#worker";
import { aFlowRun, api, WORKSPACE } from "../support/world";
import { aResource, anEvent, anId } from "./world";
import { segmentsWith } from "../support/segments";

/** A payload that nests deeper than SQLite's JSON functions can read. */
const deep = (depth: number): string => `${'{"a":'.repeat(depth)}1${"}".repeat(depth)}`;

/** A segment from before the bound on depth, or a segment with invalid JSON. */
async function aSegment(event: Event, events: (json: string) => string): Promise<void> {
  const occurred = Date.now() * 1000;
  const json = JSON.stringify({ ...event, received: event.occurred });
  await env.DB.prepare(
    `insert into event_segment (workspace_id, hour, id, first_occurred, last_occurred, event_count, counts, consumed,
       resources, run_event_ids, events) values (?, ?, ?, ?, ?, 1, ?, 1, '[]', '[]', ?)`,
  )
    .bind(WORKSPACE, hourOf(occurred), anId(), occurred, occurred, `{"${event.event}":1}`, events(json))
    .run();
}

const about = aResource();
const deepEvent = anEvent({ about, event: "deep.happened" });
const brokenEvent = anEvent({ about, event: "broken.happened" });

beforeAll(async () => {
  await aSegment(deepEvent, (json) => `[${json.replace('"payload":{}', `"payload":${deep(1_100)}`)}]`);
  await aSegment(brokenEvent, (json) => `[${json.slice(0, -20)}`);
});

const found = async (filter: Record<string, unknown>): Promise<string[]> => {
  const { status, body } = await api<{ events: { id: string }[] }>("POST", "/events/filter", { filter });
  expect(status).toBe(200);
  return body.events.map(({ id }) => id);
};

test("an object that starts accepts events although a recent segment cannot be read", async () => {
  const event = anEvent({ about });
  expect((await api("POST", "/events", [event])).status).toBe(204);
  expect(await found({ resource: { id: [about] }, event: { name: ["test.happened"] } })).toEqual([event.id]);
});

test("an event that nests too deep for the database counts as written", async () => {
  expect((await api("POST", "/events", [deepEvent])).status).toBe(204);
  expect(await segmentsWith(deepEvent.id)).toHaveLength(1);
});

test("a list of events has the readable events, and counts count all events", async () => {
  const ids = await found({ event: { prefix: ["deep", "broken"] } });
  expect(ids).toContain(deepEvent.id);
  expect(ids).not.toContain(brokenEvent.id);
  const counted = await api<{ label: string; count: number }[]>("POST", "/events/count-by/event", {
    filter: { event: { name: ["broken.happened", "deep.happened"] } },
  });
  expect(counted.status).toBe(200);
  const day = await api<{ count: number }[]>("POST", "/events/count-by/day", {
    filter: { event: { name: ["broken.happened", "deep.happened"] } },
  });
  expect(day.body.reduce((sum, { count }) => sum + count, 0)).toBe(2);
});

test("runs are deleted, and the sweep continues, although such segments exist", async () => {
  const run = await aFlowRun({ state: { type: "PENDING" } });
  await worker.scheduled(
    createScheduledController({ cron: "* * * * *", scheduledTime: new Date() }),
    env,
    createExecutionContext(),
  );
  expect(await env.DB.prepare("select 1 as n from sweep_mark where name = 'outbox'").first("n")).toBe(1);
  expect((await api("DELETE", `/flow_runs/${run.id}`)).status).toBe(204);
});
