/** Which events the sweep moves, and what it costs. */
import { env } from "cloudflare:test";
import { expect, test } from "vitest";
import { archiveEvents } from "#services/archive-events";
import { r2 } from "../archive/world";
import { watchedBucket } from "../support/watched-stores";
import {
  archiveTools,
  beginEmpty,
  bundlesIn,
  DAY,
  HOUR,
  indexRowsIn,
  moveAll,
  NOW,
  objectsOf,
  segmentsIn,
  write,
} from "../events/archive-world";
import { replaceEvents, segmentsWith } from "../support/segments";
import { aFlow, api } from "../support/world";

beginEmpty();

const old = { age: 30 * HOUR };

test("only segments that nobody needs in D1 move", async () => {
  const workspace = crypto.randomUUID();
  await write(workspace, [old], { ago: 30 * HOUR });
  await write(workspace, [old], { ago: 2 * HOUR });
  await write(workspace, [old], { ago: 30 * HOUR, isWork: true });
  await write(workspace, [{ age: 24 * HOUR }], { ago: 24 * HOUR });
  await moveAll(archiveTools(workspace));
  expect([await segmentsIn(workspace), await bundlesIn(workspace)]).toEqual([3, 1]);
});

test("a segment that the consumer has given up stays for the replay of its dead letter", async () => {
  const workspace = crypto.randomUUID();
  await write(workspace, [old], { ago: 30 * HOUR });
  await env.DB.prepare("update event_segment set consumed = 2 where workspace_id = ?").bind(workspace).run();
  await moveAll(archiveTools(workspace));
  expect([await segmentsIn(workspace), await bundlesIn(workspace)]).toEqual([1, 0]);
});

test("segments that the outbox may still read stay", async () => {
  const workspace = crypto.randomUUID();
  await write(workspace, [old], { ago: 30 * HOUR });
  await env.DB.prepare(
    "update sweep_mark set mark = '01800000-0000-7000-8000-000000000000' where name = 'outbox'",
  ).run();
  await moveAll(archiveTools(workspace));
  expect(await segmentsIn(workspace)).toBe(1);
});

test("nothing moves without an archive, or if the moves are switched off", async () => {
  const workspace = crypto.randomUUID();
  await write(workspace, [old], { ago: 30 * HOUR });
  await archiveEvents({ ...archiveTools(workspace), archive: null });
  await archiveEvents(archiveTools(workspace, { vars: { SLUICE_ARCHIVE_ENABLED: "false" } }));
  expect(await segmentsIn(workspace)).toBe(1);
});

test("a turn between two rounds reads one row, and a round with nothing due reads few", async () => {
  const workspace = crypto.randomUUID();
  for (let age = 0; age < 20; age++) await write(workspace, [{ age: age * HOUR }], { ago: age * HOUR });
  const first = archiveTools(workspace);
  await archiveEvents(first);
  expect(first.db.cost.d1_rows_read).toBeLessThan(10);
  const next = archiveTools(workspace, { now: NOW + HOUR - 1 });
  await archiveEvents(next);
  expect([next.db.cost.d1_rows_read, next.db.cost.d1_rows_written]).toEqual([1, 0]);
});

test("many small segments become few parts, and each resource keeps one index row for the hour", async () => {
  const workspace = crypto.randomUUID();
  for (let index = 0; index < 300; index++) {
    const age = 30 * HOUR + index * 5_000_000;
    await write(workspace, [{ age, about: `prefect.flow-run.${index % 4}` }], { ago: age });
  }
  expect(await indexRowsIn(workspace)).toBeGreaterThan(250);
  const tools = archiveTools(workspace);
  await moveAll(tools);
  expect([await bundlesIn(workspace), await indexRowsIn(workspace)]).toEqual([1, 4]);
  const row = await env.DB.prepare("select * from event_archive").first();
  expect(row).toMatchObject({ event_count: 300, counts: '{"test.happened":300}' });
});

test("a segment that is no list of events stays in D1, and the others move", async () => {
  const workspace = crypto.randomUUID();
  await write(workspace, [old], { ago: 30 * HOUR });
  await write(workspace, [old], { ago: 30 * HOUR - 1_000_000 });
  const [bad] = await segmentsWith();
  for (const text of ["not JSON", '[{"no":"event"}]', '{"a":1}']) {
    await replaceEvents(bad?.id ?? "", text);
    await moveAll(archiveTools(workspace));
    expect(await segmentsIn(workspace)).toBe(1);
  }
  expect(await bundlesIn(workspace)).toBe(1);
});

test("while R2 does not answer nothing is passed over, and the next turn goes on", async () => {
  const workspace = crypto.randomUUID();
  for (const hour of [30, 31]) await write(workspace, [{ age: hour * HOUR }], { ago: hour * HOUR });
  const bucket = watchedBucket(r2(), () => Promise.reject(new Error("Service is temporarily unavailable. (10043)")));
  for (let turns = 0; turns < 12; turns++)
    await expect(archiveEvents(archiveTools(workspace, { bucket }))).rejects.toThrow("archive");
  await archiveEvents(archiveTools(workspace));
  expect([await segmentsIn(workspace), await bundlesIn(workspace)]).toEqual([0, 2]);
  expect(await objectsOf(workspace)).toHaveLength(2);
});

test("heartbeats of a run that may still become a zombie stay, and move when the run has ended or has later events", async () => {
  const workspace = crypto.randomUUID();
  const { body } = await api<{ id: string }>("POST", "/flow_runs/", { flow_id: await aFlow() });
  const { id } = body;
  const about = `prefect.flow-run.${id}`;
  for (const hour of [40, 31, 30])
    await write(workspace, [{ age: hour * HOUR, name: "prefect.flow-run.heartbeat", about }], { ago: hour * HOUR });
  await env.DB.prepare("update flow_run set workspace_id = ?, state_type = 'RUNNING' where id = ?")
    .bind(workspace, id)
    .run();
  await moveAll(archiveTools(workspace));
  // The sweep of zombies looks back two hours from the last sign of life.
  expect([await segmentsIn(workspace), await bundlesIn(workspace)]).toEqual([2, 1]);
  await env.DB.prepare("update flow_run set end_time = 2, state_type = 'CRASHED' where id = ?").bind(id).run();
  await moveAll(archiveTools(workspace));
  expect(await segmentsIn(workspace)).toBe(0);
});

test("the hours of a backlog move in a few turns", async () => {
  const workspace = crypto.randomUUID();
  for (let hour = 30; hour < 75; hour++) await write(workspace, [{ age: hour * HOUR }], { ago: hour * HOUR });
  for (let turns = 0; turns < 3; turns++) await archiveEvents(archiveTools(workspace));
  expect([await segmentsIn(workspace), await bundlesIn(workspace)]).toEqual([0, 45]);
  await archiveEvents(archiveTools(workspace, { now: NOW + DAY }));
});
