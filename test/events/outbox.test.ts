import worker from "#worker";
import { createExecutionContext, createScheduledController, env } from "cloudflare:test";
import type { SQL } from "drizzle-orm";
import { SQLiteSyncDialect } from "drizzle-orm/sqlite-core";
import { expect, test, vi } from "vitest";
import type { Database } from "#db/database";
import { DEFAULT_WORKSPACE } from "#env";
import type { Event } from "#events/event";
import { sendUnsentOf } from "#events/outbox";
import { sweepOutbox } from "#services/walk-states";
import { earliestId, systemIds } from "#lib/clock";
import { makeTools } from "#tools";
import { aFlow, api, unique, WORKSPACE } from "../support/world.ts";
import { storedEvents } from "../support/segments";

const ids = systemIds();
const cron = () =>
  worker.scheduled(
    createScheduledController({ cron: "* * * * *", scheduledTime: new Date() }),
    env,
    createExecutionContext(),
  );

/** A run with states that a process wrote so many seconds ago. The process died before it sent their events. */
async function aRunWithoutEvents(
  ...secondsAgo: number[]
): Promise<{ id: string; name: string; flowId: string; stateIds: string[] }> {
  const flowId = await aFlow();
  const id = crypto.randomUUID();
  const name = unique("run");
  const states = secondsAgo.map((seconds, index) => {
    const at = (Date.now() - seconds * 1000) * 1000;
    return {
      id: ids.ordered(at),
      at,
      type: ["PENDING", "RUNNING"][index] ?? "COMPLETED",
      name: ["Pending", "Running"][index] ?? "Completed",
    };
  });
  const stateIds = states.map((state) => state.id);
  await env.DB.batch([
    env.DB.prepare(
      `insert into flow_run (workspace_id, id, created, updated, name, flow_id, parameters, context, empirical_policy, tags,
         labels, auto_scheduled, state_ids, run_count, total_run_time)
       values (?, ?, 1, 1, ?, ?, '{}', '{}', '{}', '["b","a"]', '{}', 0, ?, 1, 0)`,
    ).bind(WORKSPACE, id, name, flowId, JSON.stringify(stateIds)),
    ...states.map((state) =>
      env.DB.prepare(
        "insert into flow_run_state (id, workspace_id, flow_run_id, type, name, timestamp, state_details) values (?, ?, ?, ?, ?, ?, '{}')",
      ).bind(state.id, WORKSPACE, id, state.type, state.name, state.at),
    ),
  ]);
  return { id, name, flowId, stateIds };
}

async function eventsOf(runId: string): Promise<Event[]> {
  const about = `prefect.flow-run.${runId}`;
  const events = (await storedEvents(about)).filter(({ resource }) => resource["prefect.resource.id"] === about);
  return events.toSorted((a, b) => (a.id < b.id ? -1 : 1));
}

test("a sweep sends the event of a state if the process died before the event was sent, and a second sweep sends nothing", async () => {
  const run = await aRunWithoutEvents(100, 90, 80);
  await cron();
  const events = await eventsOf(run.id);
  expect(events.map((event) => [event.event, event.id, event.follows])).toEqual([
    ["prefect.flow-run.Pending", run.stateIds[0], null],
    ["prefect.flow-run.Running", run.stateIds[1], run.stateIds[0]],
    ["prefect.flow-run.Completed", run.stateIds[2], run.stateIds[1]],
  ]);
  expect(events[1]).toMatchObject({
    resource: { "prefect.resource.name": run.name, "prefect.state-type": "RUNNING", "prefect.run-count": "1" },
    related: [
      { "prefect.resource.id": `prefect.flow.${run.flowId}`, "prefect.resource.role": "flow" },
      { "prefect.resource.id": "prefect.tag.a", "prefect.resource.role": "tag" },
      { "prefect.resource.id": "prefect.tag.b", "prefect.resource.role": "tag" },
    ],
    payload: { intended: { from: "PENDING", to: "RUNNING" }, initial_state: { type: "PENDING", name: "Pending" } },
  });
  // The second sweep reads the same states again, like a concurrent sweep.
  await env.DB.prepare("delete from sweep_mark").run();
  await Promise.all([cron(), cron()]);
  expect(await eventsOf(run.id)).toHaveLength(3);
});

test("the first state of a scheduled run has no event, and the later states have events", async () => {
  const run = await aRunWithoutEvents(100, 90);
  await env.DB.prepare("update flow_run set auto_scheduled = 1 where id = ?").bind(run.id).run();
  await env.DB.prepare("delete from sweep_mark").run();
  await cron();
  expect((await eventsOf(run.id)).map((event) => [event.event, event.follows])).toEqual([
    ["prefect.flow-run.Running", run.stateIds[0]],
  ]);
});

test("unsent events of a run are searched for only after the mark, because all events before the mark are sent", async () => {
  const run = await aRunWithoutEvents(100, 90);
  const tools = makeTools(env, DEFAULT_WORKSPACE, () => {});
  const mark = env.DB.prepare(
    "insert into sweep_mark values ('outbox', ?) on conflict (name) do update set mark = excluded.mark",
  );
  await mark.bind(run.stateIds[0]).run();
  await sendUnsentOf(tools, [run.id]);
  expect((await eventsOf(run.id)).map((event) => event.id)).toEqual([run.stateIds[1]]);
  await env.DB.prepare("delete from sweep_mark").run();
  await sendUnsentOf(tools, [run.id]);
  expect((await eventsOf(run.id)).map((event) => event.id)).toEqual(run.stateIds);
});

test("an event that was sent is not sent again by the sweep", async () => {
  const run = await aRunWithoutEvents(100);
  await env.DB.prepare("delete from sweep_mark").run();
  await sendUnsentOf(
    makeTools(env, DEFAULT_WORKSPACE, () => {}),
    [run.id],
  );
  expect(await eventsOf(run.id)).toHaveLength(1);
  const segments = await env.DB.prepare("select count(*) as n from event_segment").first("n");
  await env.DB.prepare("delete from sweep_mark").run();
  await cron();
  expect(await env.DB.prepare("select count(*) as n from event_segment").first("n")).toBe(segments);
});

test("the sweep does not send events of recent states, because the requests that wrote the states send them", async () => {
  const run = await aRunWithoutEvents(5);
  await cron();
  expect(await eventsOf(run.id)).toEqual([]);
  const mark = await env.DB.prepare("select mark from sweep_mark where name = 'outbox'").first<string>("mark");
  expect((mark ?? "") < (run.stateIds[0] ?? "")).toBe(true);
  expect((mark ?? "") > earliestId((Date.now() - 120_000) * 1000)).toBe(true);
});

test("every transition through the API has one event, with the id of the state", async () => {
  const flowId = await aFlow();
  const { body: run } = await api<{ id: string; state_id: string }>("POST", "/flow_runs/", {
    flow_id: flowId,
    state: { type: "PENDING" },
  });
  for (const type of ["RUNNING", "COMPLETED"]) await api("POST", `/flow_runs/${run.id}/set_state`, { state: { type } });
  await expect
    .poll(async () => (await eventsOf(run.id)).map((event) => event.event), { timeout: 5000 })
    .toEqual(["prefect.flow-run.Pending", "prefect.flow-run.Running", "prefect.flow-run.Completed"]);
  expect((await eventsOf(run.id))[0]?.id).toBe(run.state_id);
});

test("a segment that the queue lost is queued again after a minute", async () => {
  const taskRun = crypto.randomUUID();
  const at = (Date.now() - 120_000) * 1000;
  const hour = at - (at % 3_600_000_000);
  const event = {
    occurred: new Date(at / 1000).toISOString(),
    event: "prefect.task-run.Completed",
    resource: { "prefect.resource.id": `prefect.task-run.${taskRun}`, "prefect.orchestration": "client" },
    related: [],
    payload: {
      validated_state: { type: "COMPLETED", name: "Completed" },
      task_run: { name: "lost", task_key: "k", dynamic_key: "0" },
    },
    id: ids.ordered(at),
    follows: null,
    received: new Date(at / 1000).toISOString(),
  };
  await env.DB.prepare(
    `insert into event_segment (workspace_id, hour, id, first_occurred, last_occurred, event_count, counts, consumed, resources, run_event_ids, events)
     values (?, ?, ?, ?, ?, 1, '{"prefect.task-run.Completed":1}', 0, '[]', '[]', ?)`,
  )
    .bind(WORKSPACE, hour, ids.ordered(at), at, at, JSON.stringify([event]))
    .run();
  await cron();
  await expect
    .poll(
      () => env.DB.prepare("select name, state_name from task_run where id = unhex(?, '-')").bind(taskRun).first(),
      {
        timeout: 5000,
      },
    )
    .toEqual({ name: "lost", state_name: "Completed" });
});

const outboxLetters = async (stateIds: string[]) =>
  (
    await env.DB.prepare(
      "select key, reason from dead_letter where queue = 'outbox' and key in (select value from json_each(?)) order by key",
    )
      .bind(JSON.stringify(stateIds))
      .all<{ key: string; reason: string }>()
  ).results;

test("if the event of a state cannot be created, the state becomes a dead letter, and the events of later states are sent", async () => {
  const [before, bad, after] = [
    await aRunWithoutEvents(100),
    await aRunWithoutEvents(95),
    await aRunWithoutEvents(90, 85),
  ];
  await env.DB.prepare("update flow_run_state set type = 'NONSENSE' where id = ?").bind(bad.stateIds[0]).run();
  await env.DB.prepare("delete from sweep_mark").run();
  await cron();
  expect((await eventsOf(before.id)).map(({ id }) => id)).toEqual(before.stateIds);
  expect((await eventsOf(after.id)).map(({ id }) => id)).toEqual(after.stateIds);
  expect(await outboxLetters([before, bad, after].flatMap(({ stateIds }) => stateIds))).toEqual([
    { key: bad.stateIds[0], reason: expect.stringContaining("expected one of") },
  ]);
  const mark = await env.DB.prepare("select mark from sweep_mark where name = 'outbox'").first<string>("mark");
  expect((mark ?? "") > (after.stateIds[1] ?? "")).toBe(true);
});

test.for([
  ["accepts no events now", () => Response.json({ error: "D1 DB is overloaded" }, { status: 503 })],
  ["is unreachable", () => Promise.reject(new Error("the object is not there"))],
] as const)("if the event stream %s, no state becomes a dead letter, and the mark stays", async ([, fetch]) => {
  const run = await aRunWithoutEvents(100, 90);
  await env.DB.prepare("delete from sweep_mark").run();
  const log = vi.spyOn(console, "error").mockImplementation(() => {});
  const tools = makeTools(
    { ...env, EVENT_STREAM: { idFromName: () => "", get: () => ({ fetch }) } as never },
    DEFAULT_WORKSPACE,
    () => {},
  );
  await expect(sweepOutbox(tools)).rejects.toMatchObject({ status: 503 });
  log.mockRestore();
  expect(await outboxLetters(run.stateIds)).toEqual([]);
  await cron();
  expect((await eventsOf(run.id)).map(({ id }) => id)).toEqual(run.stateIds);
});

test("an event is sent although the details of its state nest too deep for the database", async () => {
  const run = await aRunWithoutEvents(100);
  await env.DB.prepare("update flow_run_state set state_details = ? where id = ?")
    .bind(`{"deep":${"[".repeat(1_100)}${"]".repeat(1_100)}}`, run.stateIds[0])
    .run();
  await env.DB.prepare("delete from sweep_mark").run();
  await sendUnsentOf(
    makeTools(env, DEFAULT_WORKSPACE, () => {}),
    [run.id],
  );
  expect((await eventsOf(run.id)).map(({ id }) => id)).toEqual(run.stateIds);
});

test("a state that ended the sweep several times becomes a dead letter, and the sweep continues after the state", async () => {
  const run = await aRunWithoutEvents(100, 90);
  const mark = earliestId((Date.now() - 101_000) * 1000);
  await env.DB.prepare("delete from sweep_mark").run();
  await env.DB.prepare("insert into sweep_mark values ('outbox', ?1), ('outbox begun', ?1 || '/1')").bind(mark).run();
  await env.DB.prepare("delete from flow_run_state where id > ? and flow_run_id <> ?").bind(mark, run.id).run();
  await cron();
  expect((await eventsOf(run.id)).map(({ id }) => id)).toEqual(run.stateIds.slice(1));
  expect(await outboxLetters(run.stateIds)).toEqual([
    { key: run.stateIds[0], reason: "the sweep did not come to its end with this state" },
  ]);
});

test.for([
  [500, 62],
  [62, 7],
  [7, 1],
])("a step of %d states that did not finish is started again with %d states", async ([begun, next]) => {
  await env.DB.prepare("delete from flow_run_state").run();
  const run = await aRunWithoutEvents(...Array.from({ length: (next ?? 0) + 1 }, (_, index) => 2_000 - index));
  const mark = earliestId((Date.now() - 2_001_000) * 1000);
  await env.DB.prepare("delete from sweep_mark").run();
  await env.DB.prepare("insert into sweep_mark values ('outbox', ?1), ('outbox begun', ?1 || '/' || ?2)")
    .bind(mark, begun)
    .run();
  const steps: string[] = [];
  const tools = makeTools(env, DEFAULT_WORKSPACE, () => {});
  await sweepOutbox({ ...tools, db: watched(tools.db, steps) });
  expect(steps[0]).toBe(`${mark}/${next}`);
  expect(steps[1]).toBe(`${run.stateIds[(next ?? 0) - 1]}/${2 * (next ?? 0)}`);
});

/** A database that calls a function for each step that a sweep starts. */
function watched(db: Database, steps: string[]): Database {
  return new Proxy(db, {
    get(target, name: keyof Database) {
      const value: unknown = target[name];
      if (name !== "run") return typeof value === "function" ? value.bind(target) : value;
      return async (statement: SQL) => {
        const { params } = new SQLiteSyncDialect().sqlToQuery(statement);
        if (params[0] === "outbox begun" && typeof params[1] === "string") steps.push(params[1]);
        return target.run(statement);
      };
    },
  });
}
