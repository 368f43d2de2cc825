import { env, evictDurableObject, runInDurableObject, SELF } from "cloudflare:test";
import { expect, test, vi } from "vitest";
import { recordTaskRuns, readTaskRun } from "#events/task-runs";
import { receiveEvent } from "#events/event";
import { type Clock, systemClock, systemIds } from "#lib/clock";
import { objectName } from "#objects/client";
import { enqueueTaskRun } from "#objects/task-queue/client";
import { selectScheduled } from "#resources/task-runs/queued-runs";
import { createTaskRun } from "#resources/task-runs/create-task-run";
import { newState } from "#wire/state";
import { anEvent, connect, connectAuthenticated, type Socket } from "../events/world.ts";
import { costOf, TELL_COST } from "../support/cost.ts";
import { planOf } from "../support/plans.ts";
import { tools } from "../support/tools.ts";
import { api, unique, WORKSPACE } from "../support/world.ts";

interface TaskRun {
  id: string;
  task_key: string;
  state_id: string;
  state_type: string;
  state: { id: string; type: string; state_details: { task_parameters_id: string; deferred: boolean } };
  [field: string]: unknown;
}

const PATH = "/task_runs/subscriptions/scheduled";
const SECOND = 1_000_000;
const stub = () => env.TASK_QUEUE.get(env.TASK_QUEUE.idFromName(objectName(WORKSPACE)));

const draftOf = (task_key: string) => ({
  task_key,
  dynamic_key: crypto.randomUUID(),
  name: "note",
  state: {
    type: "SCHEDULED" as const,
    state_details: { deferred: true, task_parameters_id: crypto.randomUUID() },
  },
});

/** A task run, as `task.delay()` creates it. */
async function aDelayedRun(taskKey: string): Promise<TaskRun> {
  const { status, body } = await api<TaskRun>("POST", "/task_runs/", draftOf(taskKey));
  expect(status).toBe(201);
  return body;
}

/** The id of a background task run that the object does not know, because the object was unreachable. */
async function anUntoldRun(taskKey: string): Promise<string> {
  const log = vi.spyOn(console, "error").mockImplementation(() => {});
  const unreachable = new Proxy(env.TASK_QUEUE, {
    get() {
      throw new Error("no object");
    },
  });
  const works: Promise<unknown>[] = [];
  const { row, created } = await createTaskRun(
    { ...tools(), env: { ...env, TASK_QUEUE: unreachable }, background: (work) => works.push(work) },
    draftOf(taskKey),
  );
  await Promise.all(works);
  expect([created, log.mock.calls.length]).toEqual([true, 1]);
  log.mockRestore();
  return row.id;
}

/** A task worker with a subscription. */
async function aWorker(keys: string[], clientId = unique("worker")): Promise<Socket> {
  const socket = await connectAuthenticated(PATH);
  socket.send({ type: "subscribe", keys, client_id: clientId });
  return socket;
}

const ack = (socket: Socket) => socket.send({ type: "ack" });
/** The ids of the runs that the worker got, after the welcome. */
const given = (socket: Socket) => socket.messages.slice(1).map(({ id }) => id);

/** Waits until the object has handled all messages. */
const settle = () => new Promise((resolve) => setTimeout(resolve, 60));

/** Moves the object's clock so many seconds ahead, and runs the due timers with this name. */
async function passSeconds(seconds: number, timer: string): Promise<void> {
  await runInDurableObject(stub(), async (object: unknown) => {
    const { sql, clock } = object as { sql: SqlStorage; clock: Clock };
    (object as { clock: Clock }).clock = () => clock() + seconds * SECOND;
    const [row] = sql.exec<{ at: number }>("select at from sluice_timer where name = ?", timer).toArray();
    if (row && row.at * 1000 <= clock() + seconds * SECOND)
      await (object as { onTimer(name: string): Promise<void> }).onTimer(timer);
  });
}

/** Records a state that a task worker reports in an event. */
async function report(runId: string, type: string, deferred: boolean): Promise<void> {
  const { body } = await api<TaskRun>("GET", `/task_runs/${runId}`);
  const { name, task_key, dynamic_key } = body;
  const event = receiveEvent(
    anEvent({
      event: `prefect.task-run.${type}`,
      resource: { "prefect.resource.id": `prefect.task-run.${runId}`, "prefect.orchestration": "client" },
      payload: { task_run: { name, task_key, dynamic_key }, validated_state: { type, state_details: { deferred } } },
    }),
    Date.now() * 1000,
  );
  const record = readTaskRun(event);
  if ("wrong" in record) throw new Error(record.wrong);
  await tools().db.batch(recordTaskRuns(WORKSPACE, [record], Date.now() * 1000));
}

test("a delayed task is sent to its worker in the form of a GET, and the next task after the worker's ack", async () => {
  const key = unique("task");
  const worker = await aWorker([key]);
  const run = await aDelayedRun(key);
  const { estimated_start_time_delta: _, ...sent } = await worker.until(2);
  const { body: shown } = await api<TaskRun>("GET", `/task_runs/${run.id}`);
  const { estimated_start_time_delta: __, ...expected } = shown;
  expect(sent).toEqual(expected);
  const next = await aDelayedRun(key);
  await settle();
  expect(given(worker)).toEqual([run.id]);
  ack(worker);
  expect((await worker.until(3))["id"]).toBe(next.id);
  worker.close();
});

test("runs from before a worker connected are sent in order, for all tasks that the worker serves", async () => {
  const [a, b, other] = [unique("a"), unique("b"), unique("other")];
  const ids = [];
  for (const key of [b, a, other, b, a]) ids.push((await aDelayedRun(key)).id);
  const worker = await aWorker([a, b]);
  for (let count = 2; count <= 5; count++) {
    await worker.until(count);
    ack(worker);
  }
  await settle();
  expect(given(worker)).toEqual([ids[0], ids[1], ids[3], ids[4]]);
  worker.close();
});

test("workers share the runs, and no run is sent to two workers", async () => {
  const key = unique("task");
  const workers = await Promise.all([aWorker([key]), aWorker([key]), aWorker([key])]);
  const runs = await Promise.all(Array.from({ length: 30 }, () => aDelayedRun(key)));
  const confirm = async (worker: Socket) => {
    for (let count = 2; ; count++) {
      await worker.until(count);
      ack(worker);
    }
  };
  for (const worker of workers) void confirm(worker);
  await expect.poll(() => workers.flatMap(given).length).toBe(runs.length);
  await settle();
  expect(workers.flatMap(given).length).toBe(runs.length);
  expect(new Set<unknown>(workers.flatMap(given))).toEqual(new Set(runs.map(({ id }) => id)));
  expect(Math.min(...workers.map((worker) => given(worker).length))).toBeGreaterThan(0);
  for (const worker of workers) worker.close();
});

test.for([
  ["closes", (worker: Socket) => worker.close(), null],
  ["quits", (worker: Socket) => worker.send({ type: "quit" }), { code: 1000, reason: "" }],
  [
    "answers with something else",
    (worker: Socket) => worker.send({ type: "thanks" }),
    { code: 4001, reason: "Protocol violation: expected 'ack' message" },
  ],
] as const)("if a worker %s before the ack, its run is sent again, before new runs", async ([, end, closed]) => {
  const key = unique("task");
  const first = await aWorker([key]);
  const run = await aDelayedRun(key);
  await first.until(2);
  const later = await aDelayedRun(key);
  end(first);
  if (closed) expect(await first.closed).toEqual(closed);
  await settle();
  const second = await aWorker([key]);
  expect((await second.until(2))["id"]).toBe(run.id);
  ack(second);
  expect((await second.until(3))["id"]).toBe(later.id);
  second.close();
});

test.for([
  [{ type: "auth" }, "expected 'subscribe' message"],
  [[], "expected 'subscribe' message"],
  [{ type: "subscribe" }, "expected 'keys' in subscribe message"],
  [{ type: "subscribe", keys: [], client_id: "w" }, "expected 'keys' in subscribe message"],
  [{ type: "subscribe", keys: "ab", client_id: "w" }, "expected 'keys' in subscribe message"],
  [{ type: "subscribe", keys: [1], client_id: "w" }, "expected 'keys' in subscribe message"],
  [{ type: "subscribe", keys: ["a"] }, "expected 'client_id' in subscribe message"],
  [{ type: "subscribe", keys: ["a"], client_id: "" }, "expected 'client_id' in subscribe message"],
] as const)("a subscription like %j is closed with a reason", async ([message, reason]) => {
  for (const socket of [await connectAuthenticated(PATH), await connect(PATH, { legacy: true })]) {
    socket.send(message);
    expect(await socket.closed).toEqual({ code: 4001, reason: `Protocol violation: ${reason}` });
  }
});

test("the first message of a worker is its authentication", async () => {
  const socket = await connect(PATH);
  socket.send({ type: "subscribe", keys: ["a"], client_id: "w" });
  expect(await socket.closed).toEqual({ code: 1008, reason: "Expected 'auth' message" });
});

test("a request that is not an upgrade is refused", async () => {
  const response = await SELF.fetch(`http://sluice/api${PATH}`);
  expect(response.status).toBe(426);
});

test("connected task workers are listed, with the tasks that they serve", async () => {
  const [a, b] = [unique("a"), unique("b")];
  const names = { both: unique("both"), one: unique("one") };
  const both = await aWorker([a, b], names.both);
  const one = await aWorker([b], names.one);
  const before = Date.now();
  const ask = async (body?: unknown) =>
    (await api<{ identifier: string; task_keys: string[]; timestamp: string }[]>("POST", "/task_workers/filter", body))
      .body;
  const namesOf = async (body?: unknown) => (await ask(body)).map(({ identifier }) => identifier);
  await expect.poll(() => namesOf({ task_worker_filter: { task_keys: [b] } })).toEqual([names.both, names.one]);
  expect(await namesOf({ task_worker_filter: { task_keys: [a] } })).toEqual([names.both]);
  expect(await namesOf({ task_worker_filter: { task_keys: [unique("none")] } })).toEqual([]);
  for (const everybody of [undefined, {}, { task_worker_filter: null }, { task_worker_filter: { task_keys: [] } }])
    expect(await namesOf(everybody)).toEqual(expect.arrayContaining([names.both, names.one]));
  const [shown] = await ask({ task_worker_filter: { task_keys: [a] } });
  expect(shown?.task_keys).toEqual([a, b]);
  expect(Date.parse(shown?.timestamp ?? "")).toBeGreaterThanOrEqual(before);
  both.close();
  await expect.poll(() => namesOf({ task_worker_filter: { task_keys: [a, b] } })).toEqual([names.one]);
  one.close();
});

test.for([
  [{ task_worker_filter: {} }, "missing", ["body", "task_worker_filter", "task_keys"]],
  [{ task_worker_filter: { task_keys: 5 } }, "list_type", ["body", "task_worker_filter", "task_keys"]],
  [{ task_worker_filter: { task_keys: [5] } }, "string_type", ["body", "task_worker_filter", "task_keys", 0]],
] as const)("a filter of task workers like %j is refused", async ([body, type, loc]) => {
  const answer = await api("POST", "/task_workers/filter", body);
  expect(answer.status).toBe(422);
  expect(answer.body["exception_detail"]).toMatchObject([{ type, loc }]);
});

test("a repeated request creates one run, which is sent once", async () => {
  const key = unique("task");
  const draft = draftOf(key);
  const first = await api<TaskRun>("POST", "/task_runs/", draft);
  const second = await api<TaskRun>("POST", "/task_runs/", draft);
  expect([first.status, second.status]).toEqual([201, 200]);
  expect(second.body.id).toBe(first.body.id);
  const { body: run } = first;
  for (let times = 0; times < 2; times++) {
    await enqueueTaskRun(
      tools(),
      run,
      { ...run.state, type: "SCHEDULED", name: "", timestamp: 1, message: null, data: null, state_details: {} },
      false,
    );
  }
  const worker = await aWorker([key]);
  await worker.until(2);
  ack(worker);
  await settle();
  expect(given(worker)).toEqual([run.id]);
  worker.close();
});

test.for([
  ["was cancelled", (id: string) => api("POST", `/task_runs/${id}/set_state`, { state: { type: "CANCELLED" } })],
  ["was deleted", (id: string) => api("DELETE", `/task_runs/${id}`)],
  ["has started in another way", (id: string) => report(id, "RUNNING", false)],
] as const)("a run that %s while it waits is not sent", async ([, end]) => {
  const key = unique("task");
  const gone = await aDelayedRun(key);
  const left = await aDelayedRun(key);
  await end(gone.id);
  const worker = await aWorker([key]);
  expect((await worker.until(2))["id"]).toBe(left.id);
  worker.close();
});

test("a run that awaits its retry is sent when it is due, before new runs", async () => {
  const key = unique("task");
  const worker = await aWorker([key]);
  const run = await aDelayedRun(key);
  await worker.until(2);
  ack(worker);
  const scheduled_time = new Date(Date.now() + 400_000).toISOString();
  const state = { type: "SCHEDULED", name: "AwaitingRetry", state_details: { deferred: true, scheduled_time } };
  const answer = await api("POST", `/task_runs/${run.id}/set_state`, { state });
  expect(answer.body["status"]).toBe("ACCEPT");
  const other = await aDelayedRun(key);
  expect((await worker.until(3))["id"]).toBe(other.id);
  await aDelayedRun(key);
  await passSeconds(401, "deliver");
  ack(worker);
  const retried = await worker.until(4);
  expect([retried["id"], retried["state_name"]]).toEqual([run.id, "AwaitingRetry"]);
  worker.close();
  await evictDurableObject(stub());
});

test("a run that becomes a background task after its creation is sent, also if the object gets no notice", async () => {
  const key = unique("task");
  const { body: run } = await api<TaskRun>("POST", "/task_runs/", {
    task_key: key,
    dynamic_key: crypto.randomUUID(),
    state: { type: "PENDING" },
  });
  const state = { type: "SCHEDULED", state_details: { deferred: true } };
  expect((await api("POST", `/task_runs/${run.id}/set_state`, { state })).body["status"]).toBe("ACCEPT");
  await settle();
  await runInDurableObject(stub(), async (_, { storage }) => {
    storage.sql.exec("delete from queued_run where id = ?", run.id);
  });
  await evictDurableObject(stub());
  const worker = await aWorker([key]);
  expect((await worker.until(2))["id"]).toBe(run.id);
  worker.close();
});

test("a run without a notice to the object is found when a worker connects, and while a worker is connected", async () => {
  const key = unique("task");
  const before = await anUntoldRun(key);
  await evictDurableObject(stub());
  const worker = await aWorker([key]);
  expect((await worker.until(2))["id"]).toBe(before);
  const after = await anUntoldRun(key);
  ack(worker);
  await settle();
  expect(given(worker)).toEqual([before]);
  await passSeconds(61, "check");
  expect((await worker.until(3))["id"]).toBe(after);
  worker.close();
  await evictDurableObject(stub());
});

test("runs beyond the size of the queue stay in D1, and are sent in order", async () => {
  const key = unique("task");
  await env.DB.prepare("update task_run set background = null").run();
  await runInDurableObject(stub(), async (_, { storage }) => {
    storage.sql.exec("delete from queued_run");
  });
  await evictDurableObject(stub());
  await runInDurableObject(stub(), async (object: unknown) => {
    (object as { room: number }).room = 2;
  });
  const ids = [];
  for (let count = 0; count < 7; count++) ids.push((await aDelayedRun(key)).id);
  await settle();
  const kept = await runInDurableObject(stub(), async (_, { storage }) =>
    storage.sql.exec<{ id: string }>("select id from queued_run where task_key = ? order by at", key).toArray(),
  );
  expect(kept.map(({ id }) => id)).toEqual(ids.slice(0, 2));
  const worker = await aWorker([key]);
  for (let count = 2; count <= 8; count++) {
    await worker.until(count);
    ack(worker);
  }
  expect(given(worker)).toEqual(ids);
  worker.close();
  await evictDurableObject(stub());
});

test("a worker that connects while D1 cannot be read gets the waiting runs when D1 can be read", async () => {
  const key = unique("task");
  const run = await aDelayedRun(key);
  const log = vi.spyOn(console, "error").mockImplementation(() => {});
  const swap = (make: (database: D1Database) => D1Database) =>
    runInDurableObject(stub(), async (object: unknown) => {
      const { bindings } = object as { bindings: { DB: D1Database } };
      const database = bindings.DB;
      bindings.DB = make(database);
      return database;
    });
  const kept = await swap((database) => {
    const prepare = () => {
      throw new Error("no disk");
    };
    return new Proxy(database, { get: (_, name) => (name === "then" ? undefined : prepare) });
  });
  const worker = await aWorker([key]);
  await expect.poll(() => log.mock.calls.length).toBeGreaterThan(0);
  await settle();
  expect(given(worker)).toEqual([]);
  await swap(() => kept);
  await passSeconds(3, "deliver");
  expect((await worker.until(2))["id"]).toBe(run.id);
  log.mockRestore();
  worker.close();
  await evictDurableObject(stub());
});

test("after an eviction the object knows the waiting runs, the sent runs and the connected workers", async () => {
  const key = unique("task");
  const name = unique("worker");
  const worker = await aWorker([key], name);
  const [sent, waiting] = [await aDelayedRun(key), await aDelayedRun(key)];
  await worker.until(2);
  await settle();
  await evictDurableObject(stub(), { webSockets: "hibernate" });
  const { body } = await api<unknown[]>("POST", "/task_workers/filter", { task_worker_filter: { task_keys: [key] } });
  expect(body).toMatchObject([{ identifier: name, task_keys: [key] }]);
  expect(given(worker)).toEqual([sent.id]);
  ack(worker);
  expect((await worker.until(3))["id"]).toBe(waiting.id);
  worker.close();
});

/** A run that a worker has acknowledged. The worker has closed its socket. */
async function aVanishedWorker(key: string, name: string): Promise<TaskRun> {
  const worker = await aWorker([key], name);
  const run = await aDelayedRun(key);
  await worker.until(2);
  ack(worker);
  await settle();
  worker.close();
  await settle();
  return run;
}

test.for([
  ["has not been reported", null],
  ["was pending", "PENDING"],
] as const)("a run that %s when its worker vanished is sent again after half a minute", async ([, state]) => {
  const key = unique("task");
  const run = await aVanishedWorker(key, unique("worker"));
  if (state) await report(run.id, state, true);
  const next = await aWorker([key]);
  await passSeconds(29, "absence");
  await settle();
  expect(given(next)).toEqual([]);
  await passSeconds(2, "absence");
  expect(await next.until(2)).toMatchObject({
    id: run.id,
    state: { type: "SCHEDULED", state_details: { task_parameters_id: run.state.state_details.task_parameters_id } },
  });
  next.close();
  await evictDurableObject(stub());
});

test("a run that had started before its worker vanished is not sent again", async () => {
  const key = unique("task");
  const run = await aVanishedWorker(key, unique("worker"));
  await report(run.id, "PENDING", true);
  await report(run.id, "RUNNING", false);
  const next = await aWorker([key]);
  await passSeconds(31, "absence");
  await settle();
  expect(given(next)).toEqual([]);
  const left = await runInDurableObject(stub(), async (_, { storage }) =>
    storage.sql.exec("select id from queued_run where id = ?", run.id).toArray(),
  );
  expect(left).toEqual([]);
  next.close();
  await evictDurableObject(stub());
});

test("a worker that reconnects in time keeps its runs", async () => {
  const key = unique("task");
  const name = unique("worker");
  await aVanishedWorker(key, name);
  const back = await aWorker([key], name);
  const other = await aWorker([key]);
  await passSeconds(31, "absence");
  await passSeconds(60, "check");
  await settle();
  expect([given(back), given(other)]).toEqual([[], []]);
  back.close();
  other.close();
  await evictDurableObject(stub());
});

test("after the object itself was down, workers have the same time to reconnect", async () => {
  const key = unique("task");
  const run = await aVanishedWorker(key, unique("worker"));
  const next = await aWorker([key]);
  await passSeconds(500, "absence");
  await settle();
  expect(given(next)).toEqual([]);
  await passSeconds(31, "absence");
  expect((await next.until(2))["id"]).toBe(run.id);
  next.close();
  await evictDurableObject(stub());
});

test("waiting runs are found by their index, which contains no other task runs", async () => {
  const plan = await planOf(selectScheduled(WORKSPACE, { at: 0, id: "" }, 10));
  expect(plan).toContain("USING INDEX task_run_waiting (workspace_id=? AND (state_timestamp,id)>(?,?))");
  const cost = async (draft: Record<string, unknown>) => {
    const { headers } = await api("POST", "/task_runs/", draft, TELL_COST);
    return costOf(headers, "rows_written");
  };
  // As a client makes it. A random id may be that of an earlier time, and then another index has the run, too.
  const id = () => systemIds().ordered(systemClock()());
  const plain = await cost({ id: id(), task_key: unique("task"), dynamic_key: "1", state: { type: "SCHEDULED" } });
  const background = await cost({ id: id(), ...draftOf(unique("task")) });
  expect([plain, background]).toEqual([1, 2]);
});

/** Makes the object read all waiting runs from D1 again, because its clock was ahead. */
async function lookThroughD1(): Promise<void> {
  await settle();
  await runInDurableObject(stub(), (object: unknown) => {
    (object as { sql: SqlStorage }).sql.exec("delete from sluice_meta where key = 'proved'");
  });
  await passSeconds(61, "check");
}

test("a run with an unreadable row becomes a dead letter, and all other runs are sent", async () => {
  const [key, otherKey] = [unique("task"), unique("task")];
  const [bad, good, other] = [await aDelayedRun(key), await aDelayedRun(key), await aDelayedRun(otherKey)];
  await env.DB.prepare("update task_run set states = 'no JSON' where id = unhex(?, '-')").bind(bad.id).run();
  const [worker, otherWorker] = [await aWorker([key]), await aWorker([otherKey])];
  await Promise.all([worker.until(2), otherWorker.until(2)]);
  expect([given(worker), given(otherWorker)]).toEqual([[good.id], [other.id]]);
  const letter = await env.DB.prepare("select key, message ->> 'task_run_id' as id from dead_letter where key = ?")
    .bind(bad.id)
    .first();
  expect(letter).toEqual({ key: bad.id, id: bad.id });
});

test.for([1e18, -1e18])("a run with the scheduled time %d does not delay other runs", async (time) => {
  const key = unique("task");
  const [bad, good] = [await anUntoldRun(key), await anUntoldRun(key)];
  const proposal = {
    type: "SCHEDULED" as const,
    name: "AwaitingRetry",
    state_details: { deferred: true, scheduled_time: time * SECOND },
  };
  const state = { ...newState(proposal, Date.now() * 1000, tools().ids), timestamp: time * SECOND };
  await env.DB.prepare(
    `update task_run set states = ?1, state_id = ?2, state_name = 'AwaitingRetry',
       next_scheduled_start_time = ?3, state_timestamp = ?3, expected_start_time = ?3 where id = ?4`,
  )
    .bind(JSON.stringify([state]), state.id, time * SECOND, bad)
    .run();
  const worker = await aWorker([key]);
  await enqueueTaskRun(tools(), { id: bad, task_key: key }, state, true);
  await lookThroughD1();
  await expect
    .poll(() => {
      if (given(worker).includes(bad)) ack(worker);
      return given(worker);
    })
    .toContain(good);
});

test("runs are found although other runs have states that nest too deep for the database", async () => {
  const key = unique("task");
  const [deep, good] = [await anUntoldRun(key), await anUntoldRun(key)];
  await env.DB.prepare("update task_run set states = replace(states, ?, ?) where id = unhex(?, '-')")
    .bind('"data":null', `"data":${"[".repeat(1_100)}${"]".repeat(1_100)}`, deep)
    .run();
  const worker = await aWorker([key]);
  await lookThroughD1();
  await expect
    .poll(() => {
      if (given(worker).includes(deep)) ack(worker);
      return given(worker);
    })
    .toContain(good);
});
