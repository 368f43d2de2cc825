import { createExecutionContext, createMessageBatch, env } from "cloudflare:test";
import { expect, test } from "vitest";
import { keepDeadLetter } from "#events/dead-letters";
import worker from "#worker";
import { anEvent, taskRunReports } from "../events/world";
import { tools } from "../support/tools";
import { aFlowRun, api, unique, WORKSPACE } from "../support/world";
import { storedEvents } from "../support/segments";

interface Letter {
  id: string;
  queue: string;
  key: string;
  reason: string;
  message?: unknown;
}

const PATH = "/admin/dead-letters";

async function aLetter(queue: string, message: unknown, key = crypto.randomUUID()): Promise<string> {
  await keepDeadLetter(tools(), { queue, key, reason: "it failed", message });
  return (await lettersOf(queue)).find((letter) => letter.key === key)?.id ?? "";
}

async function lettersOf(queue: string, page: Record<string, unknown> = {}): Promise<Letter[]> {
  const { status, body } = await api<Letter[]>("POST", `${PATH}/filter`, { queue, ...page });
  expect(status).toBe(200);
  return body;
}

test("letters are listed newest first, by queue and in pages, without their messages", async () => {
  const queue = unique("queue");
  const ids = [await aLetter(queue, { n: 1 }), await aLetter(queue, { n: 2 }), await aLetter(queue, { n: 3 })];
  await aLetter(unique("queue"), {});
  expect(await lettersOf(queue)).toEqual(
    ids.toReversed().map((id) => ({
      id,
      created: expect.any(String),
      queue,
      key: expect.any(String),
      reason: "it failed",
      message_characters: 7,
    })),
  );
  expect((await lettersOf(queue, { limit: 1, offset: 1 })).map(({ id }) => id)).toEqual([ids[1]]);
  expect((await api<Letter[]>("POST", `${PATH}/filter`, {})).body.length).toBeGreaterThanOrEqual(4);
});

test("a letter is read with its message, also if the message is not JSON, and is deleted", async () => {
  const queue = unique("queue");
  const id = await aLetter(queue, { deep: [1, "two"] });
  expect((await api<Letter>("GET", `${PATH}/${id}`)).body).toMatchObject({ id, message: { deep: [1, "two"] } });
  await env.DB.prepare("update dead_letter set message = 'no JSON' where id = ?").bind(id).run();
  expect((await api<Letter>("GET", `${PATH}/${id}`)).body.message).toBe("no JSON");
  expect((await api("DELETE", `${PATH}/${id}`)).status).toBe(204);
  for (const [method, path] of [
    ["GET", `${PATH}/${id}`],
    ["DELETE", `${PATH}/${id}`],
    ["POST", `${PATH}/${id}/replay`],
  ] as const) {
    expect(await api(method, path)).toMatchObject({ status: 404, body: { detail: "Dead letter not found" } });
  }
});

test("an old letter without a key and a reason is listed and read", async () => {
  const queue = unique("queue");
  const id = crypto.randomUUID();
  await env.DB.prepare("insert into dead_letter (id, created, queue, message) values (?, 5, ?, '{}')")
    .bind(id, queue)
    .run();
  expect(await lettersOf(queue)).toMatchObject([{ id, key: null, reason: null }]);
});

test("letters are deleted by ids or by queue, and an empty filter deletes none", async () => {
  const queue = unique("queue");
  const ids = [await aLetter(queue, {}), await aLetter(queue, {}), await aLetter(queue, {})];
  expect((await api("POST", `${PATH}/drop`, {})).status).toBe(422);
  expect((await api("POST", `${PATH}/drop`, { ids: ids.slice(0, 1) })).body).toEqual({ dropped: 1 });
  expect((await api("POST", `${PATH}/drop`, { queue })).body).toEqual({ dropped: 2 });
  expect(await lettersOf(queue)).toEqual([]);
});

test("a replay that fails keeps the letter, with the new reason", async () => {
  const queue = unique("queue");
  const id = await aLetter(queue, {});
  const reason = `nothing replays what failed in ${queue}`;
  expect((await api("POST", `${PATH}/${id}/replay`)).body).toEqual({ id, replayed: false, reason });
  expect(await lettersOf(queue)).toMatchObject([{ id, reason }]);
});

test("several letters are replayed, oldest first, and failed letters can be left out", async () => {
  const queue = unique("queue");
  const ids = [await aLetter(queue, {}), await aLetter(queue, {}), await aLetter(queue, {})];
  const replay = async (body: object) =>
    (await api<{ id: string }[]>("POST", `${PATH}/replay`, body)).body.map(({ id }) => id);
  expect(await replay({ queue, limit: 2 })).toEqual(ids.slice(0, 2));
  expect(await replay({ queue, limit: 2, offset: 2 })).toEqual(ids.slice(2));
  expect(await replay({ ids: ids.slice(1, 2) })).toEqual(ids.slice(1, 2));
});

test("a replay writes an event that could not be written, and writes it once", async () => {
  const event = { ...anEvent(), received: new Date().toISOString() };
  const id = await aLetter("events", event, event.id);
  expect((await api("POST", `${PATH}/${id}/replay`)).body).toEqual({ id, replayed: true, reason: null });
  expect(await storedEvents(event.id)).toHaveLength(1);
  expect((await api("GET", `${PATH}/${id}`)).status).toBe(404);
});

test("an event that fails again keeps its letter, and a later replay writes the event", async () => {
  await env.DB.prepare(
    `create trigger refusal before insert on event_segment when instr(new.counts, 'test.refused')
     begin select raise(abort, 'refused by the database'); end`,
  ).run();
  const event = anEvent({ event: "test.refused" });
  expect((await api("POST", "/events", [event])).status).toBe(503);
  const [letter] = (await lettersOf("events")).filter(({ key }) => key === event.id);
  const path = `${PATH}/${letter?.id}`;
  expect((await api("POST", `${path}/replay`)).body).toMatchObject({ replayed: false });
  expect((await api("GET", path)).status).toBe(200);
  await env.DB.prepare("drop trigger refusal").run();
  expect((await api("POST", `${path}/replay`)).body).toMatchObject({ replayed: true });
  const found = await api<{ events: { id: string }[] }>("POST", "/events/filter", {
    filter: { event: { name: ["test.refused"] } },
  });
  expect(found.body.events.map(({ id }) => id)).toEqual([event.id]);
});

test("a replay records the report of a task run that failed", async () => {
  const taskRunId = crypto.randomUUID();
  const [report] = taskRunReports([{ type: "COMPLETED", at: Date.now() * 1000 }], { id: taskRunId });
  const id = await aLetter("task-runs", { ...report, received: new Date().toISOString() });
  expect((await api("POST", `${PATH}/${id}/replay`)).body).toEqual({ id, replayed: true, reason: null });
  const row = await env.DB.prepare("select state_name from task_run where id = unhex(?, '-')")
    .bind(taskRunId)
    .first("state_name");
  expect(row).toBe("Completed");
});

test("a message of a dead-letter queue is sent to its queue again and is consumed", async () => {
  const taskRunId = crypto.randomUUID();
  const reports = taskRunReports([{ type: "COMPLETED", at: Date.now() * 1000 }], { id: taskRunId });
  const [segmentId, hour] = [crypto.randomUUID(), 3_600_000_000];
  await env.DB.prepare(
    `insert into event_segment (workspace_id, hour, id, first_occurred, last_occurred, event_count, counts, consumed,
       resources, run_event_ids, events) values (?, ?, ?, ?, ?, 1, '{}', 0, '[]', '[]', ?)`,
  )
    .bind(WORKSPACE, hour, segmentId, hour, hour, JSON.stringify(reports))
    .run();
  const body = { v: 1, workspace: WORKSPACE, segments: [{ id: segmentId, hour, bytes: 100 }] };
  const batch = createMessageBatch("sluice-events-dead", [
    { id: crypto.randomUUID(), timestamp: new Date(0), attempts: 1, body },
  ]);
  await worker.queue(batch, env, createExecutionContext());
  const consumed = () =>
    env.DB.prepare("select consumed from event_segment where id = ?").bind(segmentId).first("consumed");
  expect(await consumed()).toBe(2);
  const [letter] = await lettersOf("sluice-events-dead");
  expect((await api("POST", `${PATH}/${letter?.id}/replay`)).body).toMatchObject({ replayed: true });
  await expect.poll(consumed, { timeout: 10_000 }).toBe(1);
  expect(await env.DB.prepare("select name from task_run where id = unhex(?, '-')").bind(taskRunId).first("name")).toBe(
    "add",
  );
  expect(await lettersOf("sluice-events-dead")).toEqual([]);
});

test("a state has its event after a replay of the event's letter", async () => {
  const run = await aFlowRun();
  const stateId = tools().ids.ordered(Date.now() * 1000);
  await env.DB.batch([
    env.DB.prepare("update flow_run set state_ids = json_insert(state_ids, '$[#]', ?) where id = ?").bind(
      stateId,
      run.id,
    ),
    env.DB.prepare(
      `insert into flow_run_state (id, workspace_id, flow_run_id, type, name, timestamp, state_details)
       values (?, ?, ?, 'PENDING', 'Pending', ?, '{}')`,
    ).bind(stateId, WORKSPACE, run.id, Date.now() * 1000),
  ]);
  const id = await aLetter("outbox", { state_id: stateId });
  expect((await api("POST", `${PATH}/${id}/replay`)).body).toMatchObject({ id, replayed: true });
  const sent = await env.DB.prepare("select count(*) as n from event_segment where instr(run_event_ids, ?)")
    .bind(stateId)
    .first("n");
  expect(sent).toBe(1);
});

test("a background task that could not be read is in the queue again after a replay", async () => {
  const key = unique("task");
  const { body: run } = await api<{ id: string }>("POST", "/task_runs/", {
    task_key: key,
    dynamic_key: crypto.randomUUID(),
    state: { type: "SCHEDULED", state_details: { deferred: true } },
  });
  const states = await env.DB.prepare("select states from task_run where id = unhex(?, '-')")
    .bind(run.id)
    .first("states");
  await env.DB.prepare("update task_run set states = 'no JSON' where id = unhex(?, '-')").bind(run.id).run();
  const id = await aLetter("task-queue", { task_run_id: run.id });
  expect((await api("POST", `${PATH}/${id}/replay`)).body).toMatchObject({ id, replayed: false });
  await env.DB.prepare("update task_run set states = ? where id = unhex(?, '-')").bind(states, run.id).run();
  expect((await api("POST", `${PATH}/${id}/replay`)).body).toMatchObject({ id, replayed: true });
});

test("a replay removes a run that could not be removed", async () => {
  const run = await aFlowRun();
  const id = await aLetter("retention-runs", { flow_run_id: run.id });
  expect((await api("POST", `${PATH}/${id}/replay`)).body).toMatchObject({ id, replayed: true });
  expect((await api("GET", `/flow_runs/${run.id}`)).status).toBe(404);
});
