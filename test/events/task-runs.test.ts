import { createExecutionContext, createMessageBatch, env } from "cloudflare:test";
import fc from "fast-check";
import { expect, test } from "vitest";
import { segmentMessages } from "#events/consumer";
import type { Event } from "#events/event";
import type { SizedKey } from "#events/segments";
import { DEFAULT_WORKSPACE } from "#env";
import { parseTime } from "#wire/dates";
import worker from "#worker";
import { aSegment, deliver, taskRunsOf } from "./recording.ts";
import { taskRunReports } from "./world.ts";

const START = Date.UTC(2026, 0, 1) * 1000;

const LIFE = [
  { type: "PENDING", at: START },
  { type: "RUNNING", at: START + 10 },
  { type: "SCHEDULED", name: "AwaitingRetry", at: START + 20 },
  { type: "RUNNING", name: "Retrying", at: START + 30 },
  { type: "COMPLETED", at: START + 1_500_040 },
];

test("a task run has the columns of its newest state, and all states in their order", async () => {
  const flowRunId = crypto.randomUUID();
  const reports = taskRunReports(LIFE, { flowRunId });
  await deliver(await aSegment(reports));
  const [row] = await taskRunsOf(flowRunId);
  expect(row).toMatchObject({
    name: "add",
    state_type: "COMPLETED",
    state_id: reports[4]?.id,
    state_timestamp: START + 1_500_040,
    run_count: 2,
    flow_run_run_count: 1,
    start_time: START + 10,
    end_time: START + 1_500_040,
    total_run_time: 1_500_000,
    tags: '["t"]',
    task_inputs: '{"x":[]}',
  });
  expect(row?.states.map((state) => [state.id, state.name])).toEqual(
    reports.map((report, index) => [report.id, LIFE[index]?.name ?? report.event.replace("prefect.task-run.", "")]),
  );
});

test("the rows are the same for any order, parts and repeats of the reports", async () => {
  const order = fc.shuffledSubarray([0, 1, 2, 3, 4, 5, 6, 7, 8, 9], { minLength: 10 });
  const cuts = fc.array(fc.integer({ min: 1, max: 9 }), { maxLength: 4 });
  const repeats = fc.array(fc.integer({ min: 0, max: 9 }), { maxLength: 5 });
  await fc.assert(
    fc.asyncProperty(order, cuts, repeats, async (indices, at, again) => {
      const flowRunId = crypto.randomUUID();
      const ids = [crypto.randomUUID(), crypto.randomUUID()];
      const reports = ids.flatMap((id) => taskRunReports(LIFE, { id, flowRunId }));
      const shuffled = [...indices, ...again].flatMap((index) => reports[index] ?? []);
      const ends = [...new Set([...at, shuffled.length])].toSorted((a, b) => a - b);
      let start = 0;
      const deliveries: SizedKey[][] = [];
      for (const end of ends) {
        deliveries.push(await aSegment(shuffled.slice(start, end)));
        start = end;
      }
      for (const keys of deliveries.toReversed()) await deliver(keys);
      for (const keys of deliveries) await deliver(keys);
      const rows = await taskRunsOf(flowRunId);
      // The expected rows: the same reports with other ids, recorded at once and in order. The rows then get the ids of
      // the first runs.
      const names = [flowRunId, ...ids].map((id) => [id, crypto.randomUUID()] as const);
      await deliver(await aSegment(renamed(reports, names)));
      const control = await taskRunsOf(names[0]?.[1] ?? "");
      const expected = renamed(
        control,
        names.map(([id, other]) => [other, id] as const),
      );
      expect(rows).toEqual(expected.toSorted((a, b) => (a.id < b.id ? -1 : 1)));
    }),
    { numRuns: 12 },
  );
}, 60_000);

/** The value with the ids replaced. */
function renamed<T>(value: T, names: readonly (readonly [string, string])[]): T {
  return JSON.parse(names.reduce((json, [from, to]) => json.replaceAll(from, to), JSON.stringify(value)));
}

test("a report without a task run does not prevent the recording of the others", async () => {
  const flowRunId = crypto.randomUUID();
  const [broken, ...rest] = taskRunReports(LIFE, { flowRunId });
  const result = await deliver(await aSegment([{ ...(broken as Event), payload: { task_run: {} } }, ...rest]));
  expect(result.explicitAcks).toHaveLength(1);
  expect((await taskRunsOf(flowRunId))[0]?.states).toHaveLength(4);
});

test("a task run without a flow run, or with an unknown one, is recorded", async () => {
  const id = crypto.randomUUID();
  await deliver(await aSegment(taskRunReports(LIFE, { id, flowRunId: null })));
  const row = await env.DB.prepare("select flow_run_id, state_name from task_run where id = unhex(?, '-')")
    .bind(id)
    .first();
  expect(row).toEqual({ flow_run_id: null, state_name: "Completed" });
});

test("a task run that exists under the same keys of its flow run keeps its id", async () => {
  const flowRunId = crypto.randomUUID();
  const [first, second] = [crypto.randomUUID(), crypto.randomUUID()];
  await deliver(await aSegment(taskRunReports(LIFE.slice(0, 1), { id: first, flowRunId, dynamicKey: "0" })));
  await deliver(await aSegment(taskRunReports(LIFE.slice(1), { id: second, flowRunId, dynamicKey: "0" })));
  const rows = await taskRunsOf(flowRunId);
  expect(rows.map((row) => [row.id, row.states.length])).toEqual([[first, 5]]);
});

test("two ids with the same key are one task run with the states of both, for any order, parts and repeats", async () => {
  const reportIndex = fc.integer({ min: 0, max: 14 });
  const order = fc.shuffledSubarray(
    Array.from({ length: 15 }, (_, index) => index),
    { minLength: 15 },
  );
  const cuts = fc.array(fc.integer({ min: 1, max: 14 }), { maxLength: 4 });
  await fc.assert(
    fc.asyncProperty(order, cuts, fc.array(reportIndex, { maxLength: 5 }), async (indices, at, again) => {
      const flowRunId = crypto.randomUUID();
      // Two executions of a flow report the same task run under two ids. Another task run has its own key.
      const ids = [crypto.randomUUID(), crypto.randomUUID(), crypto.randomUUID()] as const;
      const lives = ids.map((id, index) =>
        taskRunReports(
          LIFE.map(({ at, ...state }) => ({ ...state, at: at + index * 5 })),
          { id, flowRunId, dynamicKey: index < 2 ? "shared" : "own" },
        ),
      );
      const reports = lives.flat();
      const told = [...indices, ...again].flatMap((index) => reports[index] ?? []);
      const ends = [...new Set([...at, told.length])].toSorted((a, b) => a - b);
      const starts = [0, ...ends];
      const parts = await Promise.all(ends.map((end, index) => aSegment(told.slice(starts[index], end))));
      await Promise.all(parts.toReversed().map((keys) => deliver(keys)));
      const rows = await taskRunsOf(flowRunId);
      expect(rows).toHaveLength(2);
      const [shared, own] = rows.toSorted((a, b) => b.states.length - a.states.length);
      expect(ids.slice(0, 2)).toContain(shared?.id);
      expect([own?.id, own?.states.length]).toEqual([ids[2], 5]);
      const micros = ({ occurred }: Event) => parseTime(occurred) ?? 0;
      const byTime = lives
        .slice(0, 2)
        .flat()
        .toSorted((a, b) => micros(a) - micros(b));
      expect(shared?.states.map(({ id }) => id)).toEqual(byTime.map(({ id }) => id));
      expect(shared).toMatchObject({ state_id: byTime.at(-1)?.id, state_name: "Completed", run_count: 2 });
      for (const { state_details } of shared?.states ?? []) expect(state_details.task_run_id).toBe(shared?.id);
    }),
    { numRuns: 15 },
  );
}, 60_000);

test("reports with a new id and the key of an existing task run are recorded for the existing task run", async () => {
  const flowRunId = crypto.randomUUID();
  const [first, second] = [crypto.randomUUID(), crypto.randomUUID()];
  const lives = [first, second].map((id) => taskRunReports(LIFE, { id, flowRunId, dynamicKey: "0" }));
  await deliver(await aSegment(lives.flatMap((life) => life.slice(0, 2))));
  await deliver(await aSegment(lives[1]?.slice(2) ?? []));
  const rows = await taskRunsOf(flowRunId);
  expect(rows.map(({ id, state_name, states }) => [[first, second].includes(id), state_name, states.length])).toEqual([
    [true, "Completed", 7],
  ]);
});

test("a recorded segment is marked as consumed, and not read again", async () => {
  const keys = await aSegment(taskRunReports(LIFE));
  await deliver(keys);
  const row = await env.DB.prepare("select consumed from event_segment where id = ?").bind(keys[0]?.id).first();
  expect(row).toEqual({ consumed: 1 });
});

test("messages that the queue gave up become dead letters, and the sweep ignores their segments", async () => {
  const keys = await aSegment(taskRunReports(LIFE));
  const [body] = segmentMessages(DEFAULT_WORKSPACE, keys);
  const id = crypto.randomUUID();
  for (let times = 0; times < 2; times++) {
    const batch = createMessageBatch("sluice-events-dead", [{ id, timestamp: new Date(0), attempts: 1, body }]);
    await worker.queue(batch, env, createExecutionContext());
  }
  const letters = await env.DB.prepare("select queue, message from dead_letter where key = ?").bind(id).all();
  expect(letters.results).toEqual([{ queue: "sluice-events-dead", message: JSON.stringify(body) }]);
  const row = await env.DB.prepare("select consumed from event_segment where id = ?").bind(keys[0]?.id).first();
  expect(row).toEqual({ consumed: 2 });
});

test("consumers that record parts of the same task runs concurrently lose no state", async () => {
  const flowRunId = crypto.randomUUID();
  const lives = Array.from({ length: 20 }, () => taskRunReports(LIFE, { flowRunId }));
  const parts = await Promise.all(LIFE.map((_, index) => aSegment(lives.flatMap((life) => life[index] ?? []))));
  await Promise.all([...parts.toReversed(), ...parts].map((keys) => deliver(keys)));
  const rows = await taskRunsOf(flowRunId);
  expect(rows.map((row) => [row.state_name, row.run_count, row.states.length])).toEqual(
    lives.map(() => ["Completed", 2, 5]),
  );
});

test("states with equal times are ordered by the progress of the run, for any order of the reports", async () => {
  const flowRunId = crypto.randomUUID();
  const life = ["PENDING", "RUNNING", "COMPLETED"].map((type) => ({ type, at: START }));
  const ways = [
    [0, 1, 2],
    [2, 1, 0],
    [1, 2, 0],
  ];
  for (const way of ways) {
    const reports = taskRunReports(life, { flowRunId });
    for (const index of way) await deliver(await aSegment(reports.slice(index, index + 1)));
  }
  const runs = await taskRunsOf(flowRunId);
  expect(runs.map((run) => run.state_name)).toEqual(["Completed", "Completed", "Completed"]);
  for (const { states } of runs) {
    expect(states.map(({ type }) => type)).toEqual(["PENDING", "RUNNING", "COMPLETED"]);
  }
});
