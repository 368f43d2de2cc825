import { env, evictDurableObject, runInDurableObject, SELF } from "cloudflare:test";
import { expect, test } from "vitest";
import { DEFAULT_WORKSPACE } from "#env";
import { SOCKET_HEADERS } from "#http/socket";
import { enqueueCleanup, workPoolStub } from "#objects/work-pool/client";
import type { WorkPool } from "#objects/work-pool/object";
import { makeTools } from "#tools";
import { connectAuthenticated, Socket } from "../../../events/world.ts";
import { api, unique } from "../../../support/world.ts";
import { hello } from "./script.ts";

const KIND = "cancelling_timeout_teardown.v1";
const SECOND = 1_000_000;
const LEASE_SECONDS = 30;

interface Pool {
  id: string;
  name: string;
  type: string;
  default_queue_id: string;
}

interface CleanupPayload {
  message_id: string;
  reservation_token: string;
  lease_expires_at: string;
  delivery_count: number;
  target: { flow_run_id: string };
}

const tools = () => makeTools(env, DEFAULT_WORKSPACE, () => {});
const stubOf = (pool: Pool) => workPoolStub(env, DEFAULT_WORKSPACE, pool.name);

async function aPool(fields: object = {}): Promise<Pool> {
  const { body } = await api<Pool>("POST", "/work_pools/", { name: unique("pool"), type: "process", ...fields });
  return body;
}

/** Calls a function inside the pool's object. */
const inObject = <T>(pool: Pool, look: (object: WorkPool, state: DurableObjectState) => T | Promise<T>) =>
  runInDurableObject(stubOf(pool), (object, state) => look(object as unknown as WorkPool, state));

/** Moves the object's clock and runs its timer. */
const pass = (pool: Pool, seconds: number) =>
  inObject(pool, async (object) => {
    const clock = object.clock;
    object.clock = () => clock() + seconds * SECOND;
    await object.onTimer("cleanup");
  });

/** Creates a run with a timed-out cancellation, and gives its id. */
async function aTimedOutRun(pool: Pool, fields: { work_queue_id?: string; infrastructure_pid?: string } = {}) {
  const run = {
    id: crypto.randomUUID(),
    work_queue_id: pool.default_queue_id,
    infrastructure_pid: "host:7",
    ...fields,
  };
  expect(await enqueueCleanup(tools(), pool, { ...run, cancelled_state_id: crypto.randomUUID() })).toBe(true);
  return run.id;
}

/** A worker on its channel, with the frames that it got. */
class Worker {
  readonly socket: Socket;
  readonly consumer: string;

  constructor(socket: Socket, consumer: string) {
    this.socket = socket;
    this.consumer = consumer;
  }

  /** Waits for the next frame, which must have this type, and gives its payload. */
  async next<T = CleanupPayload>(type: string): Promise<T> {
    const frame = await this.socket.until(++this.waited);
    expect(frame["type"]).toBe(type);
    return frame["payload"] as T;
  }
  private waited = 2;

  say(type: string, payload: object): void {
    this.socket.send({ type, id: crypto.randomUUID(), sent_at: new Date().toISOString(), payload });
  }

  heartbeat(): void {
    this.say("worker.heartbeat.v1", {
      consumer_id: this.consumer,
      worker_name: "w",
      heartbeat_interval_seconds: LEASE_SECONDS,
    });
  }

  /** Sends an operation on a message and waits for the answer. */
  operate(what: "ack" | "release" | "renew", { message_id, reservation_token }: CleanupPayload) {
    this.say(`cleanup.${what}.v1`, { message_id, reservation_token, ...(what === "release" && { reason: "busy" }) });
    return this.next<{ status: string; reason: string | null; lease_expires_at: string | null }>(
      "cleanup.operation_result.v1",
    );
  }

  /** The number of frames, including all frames that were sent so far. */
  async frames(): Promise<number> {
    this.say("cleanup.renew.v1", { message_id: crypto.randomUUID(), reservation_token: "t" });
    const answer = () => this.socket.messages.findIndex((frame, index) => index >= this.waited && isAnswer(frame));
    while (answer() < 0) await this.socket.until(this.socket.messages.length + 1);
    this.socket.messages.splice(answer(), 1);
    return this.socket.messages.length - this.waited;
  }
}

const isAnswer = (frame: Record<string, unknown>) => frame["type"] === "cleanup.operation_result.v1";

async function aWorker(pool: Pool, fields: object = {}): Promise<Worker> {
  const consumer = crypto.randomUUID();
  const socket = await connectAuthenticated(`/work_pools/${pool.name}/workers/connect`);
  const cleanup = {
    requested_capabilities: ["worker_heartbeat.v1", "work_pool_snapshot.v1", "cleanup_delivery.v1"],
    handled_cleanup_kinds: [KIND],
  };
  socket.send(hello({ consumer_id: consumer, ...cleanup, ...fields }));
  expect(await socket.until(2)).toMatchObject({ type: "worker.ready.v1" });
  return new Worker(socket, "consumer_id" in fields ? String(fields.consumer_id) : consumer);
}

test("a connected worker gets a message at once, and an acknowledged message is deleted", async () => {
  const pool = await aPool();
  const worker = await aWorker(pool);
  const run = await aTimedOutRun(pool);
  const message = await worker.next("cleanup.message.v1");
  expect(message).toEqual({
    message_id: expect.stringMatching(/^[0-9a-f]{8}-[0-9a-f]{4}-5/),
    kind: KIND,
    reservation_token: expect.stringMatching(/^[\w-]{43}$/),
    lease_expires_at: expect.stringMatching(/Z$/),
    delivery_count: 1,
    work_queue_id: pool.default_queue_id,
    target: { flow_run_id: run, infrastructure_pid: "host:7" },
    data: {},
  });
  expect(await worker.operate("ack", message)).toMatchObject({ status: "accepted", reason: null });
  expect(await worker.operate("ack", message)).toMatchObject({ status: "not_found", reason: "message_not_found" });
  expect(await (await aWorker(pool)).frames()).toBe(0);
});

test("a message waits for the first worker that handles its kind", async () => {
  const pool = await aPool();
  const run = await aTimedOutRun(pool);
  const without = await aWorker(pool, {
    requested_capabilities: ["worker_heartbeat.v1", "work_pool_snapshot.v1"],
    handled_cleanup_kinds: [],
  });
  const other = await aWorker(pool, { handled_cleanup_kinds: ["pending_claim_teardown.v1"] });
  expect([await without.frames(), await other.frames()]).toEqual([0, 0]);
  expect((await (await aWorker(pool)).next("cleanup.message.v1")).target.flow_run_id).toBe(run);
});

test("a repeated cancellation is the same message", async () => {
  const pool = await aPool();
  const worker = await aWorker(pool, { max_cleanup_concurrency: 3 });
  const run = { id: crypto.randomUUID(), work_queue_id: pool.default_queue_id, infrastructure_pid: null };
  const timedOut = { ...run, cancelled_state_id: crypto.randomUUID() };
  for (let time = 0; time < 3; time++) await enqueueCleanup(tools(), pool, timedOut);
  expect(await worker.frames()).toBe(1);
  await worker.operate("ack", await worker.next("cleanup.message.v1"));
  await enqueueCleanup(tools(), pool, timedOut);
  expect(await worker.frames()).toBe(0);
});

test("a worker has at most as many reserved messages as its capacity, over all its sockets", async () => {
  const pool = await aPool();
  const consumer_id = crypto.randomUUID();
  const first = await aWorker(pool, { consumer_id, max_cleanup_concurrency: 2 });
  const runs = [await aTimedOutRun(pool), await aTimedOutRun(pool), await aTimedOutRun(pool)];
  const [a, b] = [await first.next("cleanup.message.v1"), await first.next("cleanup.message.v1")];
  expect([a, b].map(({ target }) => target.flow_run_id)).toEqual(runs.slice(0, 2));
  const second = await aWorker(pool, { consumer_id, max_cleanup_concurrency: 2 });
  expect([await first.frames(), await second.frames()]).toEqual([0, 0]);
  // The token names the reservation, not the socket. The next message is sent to the newest socket.
  expect(await second.operate("ack", b)).toMatchObject({ status: "accepted" });
  expect((await second.next("cleanup.message.v1")).target.flow_run_id).toBe(runs[2]);
});

test("each message is given to one worker, in turn", async () => {
  const pool = await aPool();
  const workers = [
    await aWorker(pool, { max_cleanup_concurrency: 9 }),
    await aWorker(pool, { max_cleanup_concurrency: 9 }),
  ];
  const runs: string[] = [];
  for (let run = 0; run < 6; run++) runs.push(await aTimedOutRun(pool));
  const got = await Promise.all(
    workers.map(async (worker) => {
      const messages = [];
      for (let message = 0; message < 3; message++) messages.push(await worker.next("cleanup.message.v1"));
      return messages.map(({ target }) => target.flow_run_id);
    }),
  );
  expect(got.flat().toSorted()).toEqual(runs.toSorted());
  expect(await Promise.all(workers.map((worker) => worker.frames()))).toEqual([0, 0]);
});

test("workers of the message's queue come first, then other workers if none of these can take a message", async () => {
  const pool = await aPool();
  const queue = (await api<{ id: string }>("POST", `/work_pools/${pool.name}/queues`, { name: "far" })).body.id;
  const near = await aWorker(pool, { work_queue_names: ["default"] });
  const far = await aWorker(pool, { work_queue_names: ["far"] });
  const runs = [await aTimedOutRun(pool, { work_queue_id: queue }), await aTimedOutRun(pool, { work_queue_id: queue })];
  expect((await far.next("cleanup.message.v1")).target.flow_run_id).toBe(runs[0]);
  expect((await near.next("cleanup.message.v1")).target.flow_run_id).toBe(runs[1]);
});

test("a worker may name many queues and have a long name", async () => {
  const pool = await aPool();
  const names = Array.from({ length: 200 }, (_, n) => `queue ${n}`);
  await env.DB.prepare(
    `insert into work_queue (workspace_id, id, created, updated, name, description, is_paused, priority, work_pool_id, status)
     select ?, lower(hex(randomblob(4))) || '-0000-4000-8000-' || lower(hex(randomblob(6))), 1, 1, value, '', 0, key + 2, ?, 'NOT_READY' from json_each(?)`,
  )
    .bind(DEFAULT_WORKSPACE, pool.id, JSON.stringify(names))
    .run();
  const worker = await aWorker(pool, { worker_name: "w".repeat(2_000), work_queue_names: names });
  await aTimedOutRun(pool);
  await worker.operate("ack", await worker.next("cleanup.message.v1"));
  expect(await worker.frames()).toBe(0);
});

test("a released message is delivered again with another token, at most three times", async () => {
  const pool = await aPool();
  const worker = await aWorker(pool);
  await aTimedOutRun(pool);
  const first = await worker.next("cleanup.message.v1");
  expect(await worker.operate("release", first)).toMatchObject({ status: "accepted" });
  const second = await worker.next("cleanup.message.v1");
  expect(second).toMatchObject({ message_id: first.message_id, delivery_count: 2 });
  const stale = { ...second, reservation_token: first.reservation_token };
  expect(await worker.operate("ack", stale)).toMatchObject({
    status: "invalid_token",
    reason: "reservation_token_mismatch",
  });
  await worker.operate("release", second);
  const third = await worker.next("cleanup.message.v1");
  expect(third.delivery_count).toBe(3);
  const given = { status: "dead_lettered", reason: "max_delivery_attempts_reached" };
  expect(await worker.operate("release", third)).toMatchObject(given);
  expect(await worker.frames()).toBe(0);
});

test("a reservation that is renewed lasts longer", async () => {
  const pool = await aPool();
  const worker = await aWorker(pool);
  await aTimedOutRun(pool);
  const message = await worker.next("cleanup.message.v1");
  await pass(pool, LEASE_SECONDS - 5);
  const renewed = await worker.operate("renew", message);
  expect(renewed.status).toBe("accepted");
  expect(Date.parse(renewed.lease_expires_at ?? "") - Date.parse(message.lease_expires_at)).toBeGreaterThan(24_000);
  await pass(pool, LEASE_SECONDS - 5);
  expect(await worker.operate("ack", message)).toMatchObject({ status: "accepted" });
});

test("the messages of a vanished worker are given to another worker when the reservations have expired", async () => {
  const pool = await aPool();
  const worker = await aWorker(pool);
  const run = await aTimedOutRun(pool);
  const message = await worker.next("cleanup.message.v1");
  worker.socket.close();
  await worker.socket.closed;
  const other = await aWorker(pool);
  expect(await other.frames()).toBe(0);
  const alarm = await inObject(pool, (_, state) => state.storage.getAlarm());
  expect(alarm).toBeLessThanOrEqual(Date.parse(message.lease_expires_at) + 1);
  await pass(pool, LEASE_SECONDS);
  const again = await other.next("cleanup.message.v1");
  expect(again).toMatchObject({ delivery_count: 2, target: { flow_run_id: run } });
  expect(again.reservation_token).not.toBe(message.reservation_token);
});

test("a worker without heartbeats gets no message until its next heartbeat", async () => {
  const pool = await aPool();
  const worker = await aWorker(pool);
  await pass(pool, 3 * LEASE_SECONDS);
  await aTimedOutRun(pool);
  expect(
    await inObject(pool, (_, { storage }) =>
      storage.sql.exec("select 1 from cleanup where token is not null").toArray(),
    ),
  ).toEqual([]);
  worker.heartbeat();
  await worker.next("cleanup.message.v1");
});

test("messages, reservations and sockets survive an eviction of the object", async () => {
  const pool = await aPool();
  const worker = await aWorker(pool);
  const runs = [await aTimedOutRun(pool), await aTimedOutRun(pool)];
  const message = await worker.next("cleanup.message.v1");
  await evictDurableObject(stubOf(pool));
  expect(await worker.operate("ack", message)).toMatchObject({ status: "accepted" });
  expect((await worker.next("cleanup.message.v1")).target.flow_run_id).toBe(runs[1]);
  await evictDurableObject(stubOf(pool));
  await api("PATCH", `/work_pools/${pool.name}`, { concurrency_limit: 8 });
  expect(await worker.next("work_pool.snapshot.v1")).toMatchObject({
    snapshot_sequence: 2,
    reason: "work_pool_updated",
    work_pool: { concurrency_limit: 8 },
  });
});

test("a change without a notice to the object is sent with the next heartbeat", async () => {
  const pool = await aPool();
  const worker = await aWorker(pool);
  await env.DB.prepare("update work_pool set description = 'found', updated = updated + 1 where id = ?")
    .bind(pool.id)
    .run();
  await inObject(pool, (object) => object.onTimer("check"));
  worker.heartbeat();
  expect(await worker.next("work_pool.snapshot.v1")).toMatchObject({
    reason: "heartbeat_reconciliation",
    work_pool: { description: "found" },
  });
  worker.heartbeat();
  expect(await worker.frames()).toBe(0);
});

test("heartbeats on the channel count as heartbeats of the worker", async () => {
  const pool = await aPool();
  const worker = await aWorker(pool, { worker_name: "w", heartbeat_interval_seconds: 7 });
  const path = `/work_pools/${pool.name}/workers/filter`;
  const [before] = (await api<Record<string, string>[]>("POST", path, {})).body;
  expect(before).toMatchObject({ name: "w", heartbeat_interval_seconds: 7, status: "ONLINE" });
  expect((await api<{ status: string }>("GET", `/work_pools/${pool.name}`)).body.status).toBe("READY");
  worker.heartbeat();
  expect(await worker.frames()).toBe(0);
  const [after] = (await api<Record<string, string>[]>("POST", path, {})).body;
  expect(after).toMatchObject({ id: before?.["id"], name: "w", heartbeat_interval_seconds: LEASE_SECONDS });
  expect(Date.parse(after?.["last_heartbeat_time"] ?? "")).toBeGreaterThan(
    Date.parse(before?.["last_heartbeat_time"] ?? ""),
  );
});

test("a pool that is created again has neither the messages nor the workers of the deleted pool", async () => {
  const pool = await aPool();
  await aTimedOutRun(pool);
  const worker = await aWorker(pool, { max_cleanup_concurrency: 2 });
  await api("DELETE", `/work_pools/${pool.name}`);
  expect(await worker.socket.closed).toEqual({ code: 1008, reason: "authorization_failed" });
  const run = { id: "r", work_queue_id: "q", infrastructure_pid: null, cancelled_state_id: "s" };
  expect(await enqueueCleanup(tools(), pool, run)).toBe(false);
  const anew = await aPool({ name: pool.name });
  expect(await (await aWorker(anew)).frames()).toBe(0);
  expect(await enqueueCleanup(tools(), pool, run)).toBe(false);
});

test("the channel of a pool that was deleted without a notice is closed when the object detects the deletion", async () => {
  const pool = await aPool();
  const worker = await aWorker(pool);
  await env.DB.prepare("delete from work_pool where id = ?").bind(pool.id).run();
  await inObject(pool, (object) => object.onTimer("check"));
  expect(await worker.socket.closed).toEqual({ code: 1008, reason: "authorization_failed" });
});

test("if a heartbeat cannot be stored, the worker's channel is closed, and the worker reconnects", async () => {
  const pool = await aPool();
  const worker = await aWorker(pool);
  await inObject(pool, (_, { storage }) => void storage.sql.exec("drop table worker"));
  await pass(pool, 2);
  worker.heartbeat();
  expect(await worker.socket.closed).toEqual({ code: 1011, reason: "heartbeat_persistence_failed" });
});

test("an operation that cannot be stored gets an error, and can be sent again", async () => {
  const pool = await aPool();
  const worker = await aWorker(pool);
  await aTimedOutRun(pool);
  const message = await worker.next("cleanup.message.v1");
  await inObject(pool, (_, { storage }) => void storage.sql.exec("alter table cleanup rename to away"));
  expect(await worker.operate("ack", message)).toMatchObject({
    status: "error",
    reason: "cleanup_queue_operation_failed",
  });
  await inObject(pool, (_, { storage }) => void storage.sql.exec("alter table away rename to cleanup"));
  expect(await worker.operate("ack", message)).toMatchObject({ status: "accepted" });
});

test("if a hello needs an unreachable D1, the worker's channel is closed, and the worker reconnects", async () => {
  const pool = await aPool();
  const socket = await connectAuthenticated(`/work_pools/${pool.name}/workers/connect`);
  await env.DB.prepare("alter table work_pool rename to away").run();
  socket.send(hello());
  expect(await socket.closed).toEqual({ code: 1011, reason: "transient_server_error" });
  await env.DB.prepare("alter table away rename to work_pool").run();
});

test.for(["cloud-run:push", "prefect:managed"])("a pool of type %s has no worker for clean-ups", async (type) => {
  const pool = await aPool({ type });
  const run = { id: "r", work_queue_id: pool.default_queue_id, infrastructure_pid: null, cancelled_state_id: "s" };
  expect(await enqueueCleanup(tools(), pool, run)).toBe(false);
});

test("a request without an upgrade is refused", async () => {
  const pool = await aPool();
  expect((await SELF.fetch(`http://sluice/api/work_pools/${pool.name}/workers/connect`)).status).toBe(426);
});

test("a worker creates the pool that it names, with the queue and the events of every pool", async () => {
  const name = unique("made");
  const worker = await aWorker({ name } as Pool, { create_pool_if_not_found: true, worker_type: "docker" });
  const { body } = await api("GET", `/work_pools/${name}`);
  expect(body).toMatchObject({ name, type: "docker", status: "READY" });
  expect((await api("GET", `/work_pools/${name}/queues/default`)).status).toBe(200);
  expect(await worker.frames()).toBe(0);
});

test.for(["prefect-mine", "Prefect"])(
  "a worker does not create the pool %s, because the name is reserved",
  async (prefix) => {
    const name = unique(prefix);
    const socket = await connectAuthenticated(`/work_pools/${name}/workers/connect`);
    socket.send(hello({ create_pool_if_not_found: true }));
    expect(await socket.closed).toEqual({ code: 1008, reason: "authorization_failed" });
    expect((await api("GET", `/work_pools/${name}`)).status).toBe(404);
  },
);

test("a worker that names an unknown queue creates no pool", async () => {
  const name = unique("none");
  const socket = await connectAuthenticated(`/work_pools/${name}/workers/connect`);
  socket.send(hello({ create_pool_if_not_found: true, work_queue_names: ["far"] }));
  expect(await socket.closed).toEqual({ code: 1008, reason: "authorization_failed" });
  expect((await api("GET", `/work_pools/${name}`)).status).toBe(404);
});

const KEYS: [name: string, authorized: boolean, token: unknown, isLetIn: boolean][] = [
  ["the key", false, "key", true],
  ["another key", false, "kez", false],
  ["no key", false, null, false],
  ["no key, but an upgrade that had it", true, null, true],
];

test.for(KEYS)("if a key is set, %s is checked", async ([, authorized, token, isLetIn]) => {
  const stub = env.WORK_POOL.get(env.WORK_POOL.newUniqueId());
  const said = await runInDurableObject(stub, async (object) => {
    const pool = object as unknown as { bindings: object; fetch(request: Request): Promise<Response> };
    pool.bindings = { ...pool.bindings, SLUICE_API_KEY: "key" };
    const headers = {
      upgrade: "websocket",
      "sec-websocket-protocol": "prefect",
      [SOCKET_HEADERS.channel]: "worker-channel",
      [SOCKET_HEADERS.workspace]: DEFAULT_WORKSPACE,
      [SOCKET_HEADERS.authorized]: authorized ? "1" : "0",
      [SOCKET_HEADERS.params]: encodeURIComponent(JSON.stringify({ work_pool_name: "p" })),
    };
    const { webSocket } = await pool.fetch(new Request("http://sluice/", { headers }));
    if (!webSocket) throw new Error("no socket");
    const socket = new Socket(webSocket);
    socket.send({ type: "auth", token });
    return Promise.race([socket.until(1), socket.closed]);
  });
  expect(said).toEqual(isLetIn ? { type: "auth_success" } : { code: 1008, reason: "authentication_failed" });
});
