import { env, runInDurableObject } from "cloudflare:test";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { eventStream } from "#events/emit";
import { objectName } from "#objects/client";
import { Greetings } from "#objects/handshake";
import { workPoolStub } from "#objects/work-pool/client";
import { connect, connectAuthenticated } from "../events/world.ts";
import { api, unique, WORKSPACE } from "../support/world.ts";

const POOL = unique("silent");
const stream = () => eventStream(env.EVENT_STREAM, WORKSPACE);
const tasks = () => env.TASK_QUEUE.get(env.TASK_QUEUE.idFromName(objectName(WORKSPACE)));
const pool = (name: string) => workPoolStub(env, WORKSPACE, name);

const SOCKETS = [
  ["/events/in", stream],
  ["/events/out", stream],
  ["/logs/out", stream],
  ["/task_runs/subscriptions/scheduled", tasks],
  [`/work_pools/${POOL}/workers/connect`, () => pool(POOL)],
] as const;

/** The timers of sockets, set and changed within the object. */
beforeEach(() => void vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] }));
afterEach(() => void vi.useRealTimers());

test.for(SOCKETS)("%s closes a socket that sends nothing for half a minute", async ([path, object]) => {
  const socket = await connect(path);
  await runInDurableObject(object(), () => void vi.advanceTimersByTime(30_000));
  expect(await socket.closed).toEqual({ code: 1008, reason: "Nothing was said for 30 seconds" });
});

test.for(SOCKETS.slice(1))("%s closes a socket that sends only its authentication", async ([path, object]) => {
  const socket = await connectAuthenticated(path);
  await runInDurableObject(object(), () => void vi.advanceTimersByTime(30_000));
  expect((await socket.closed).code).toBe(1008);
});

test.for([
  ["/events/in", stream, null],
  ["/events/out", stream, { type: "filter", filter: {}, backfill: false }],
  ["/logs/out", stream, { type: "filter", filter: {} }],
  ["/task_runs/subscriptions/scheduled", tasks, { type: "subscribe", keys: ["k"], client_id: "c" }],
] as const)("%s keeps a socket open that has sent its wish", async ([path, object, wish]) => {
  const socket = await connectAuthenticated(path);
  if (wish) socket.send(wish);
  // A later message of another socket shows that the object has read the subscription.
  await connectAuthenticated(path).then((other) => other.close());
  await runInDurableObject(object(), () => void vi.advanceTimersByTime(60_000));
  const ended = await Promise.race([socket.closed, connectAuthenticated(path).then(() => "open")]);
  expect(ended).toBe("open");
  socket.close();
});

test.for(SOCKETS)("%s accepts no large message from a socket without authentication", async ([path]) => {
  const socket = await connect(path);
  socket.send({ type: "auth", token: "x".repeat(10_000) });
  expect((await socket.closed).code).toBe(1009);
});

const GARBAGE = [
  ["deep JSON", `{"type":${"[".repeat(4_000)}${"]".repeat(4_000)}}`],
  ["a list", "[1,2]"],
  ["null", "null"],
  ["a number", "1e999"],
  ["half a text", '{"type":"au'],
  ["a type that is an object", '{"type":{"type":"auth"}}'],
  ["bytes", new Uint8Array([0xff, 0xfe, 0, 1])],
] as const;

test.for(SOCKETS.flatMap(([path]) => GARBAGE.map(([name, data]) => [path, name, data] as const)))(
  "%s closes a socket that sends %s, and accepts the next socket",
  async ([path, , data]) => {
    const socket = await connect(path);
    socket.sendRaw(data);
    expect((await socket.closed).code).toBe(1008);
    const next = await connectAuthenticated(path);
    expect(next.messages).toEqual([{ type: "auth_success" }]);
    next.close();
  },
);

test("ten thousand messages before the authentication do not delay other sockets", async () => {
  const socket = await connect("/events/in");
  for (let n = 0; n < 10_000; n++) socket.trySend({ type: "hello" });
  const other = await connectAuthenticated("/events/in");
  expect(other.messages).toEqual([{ type: "auth_success" }]);
  expect((await socket.closed).code).toBe(1008);
});

test("so many sockets may be silent at once, and one more after one of them has sent its message", () => {
  const greetings = new Greetings();
  const sockets = Array.from({ length: 1_000 }, () => new WebSocketPair()[0]);
  for (const socket of sockets) {
    expect(greetings.refusal()).toBeNull();
    greetings.begin(socket);
  }
  expect(greetings.refusal()?.status).toBe(503);
  if (sockets[0]) greetings.end(sockets[0]);
  expect(greetings.refusal()).toBeNull();
});

const hello = (fields: Record<string, unknown> = {}) => ({
  type: "worker.hello.v1",
  id: crypto.randomUUID(),
  sent_at: new Date().toISOString(),
  payload: {
    consumer_id: crypto.randomUUID(),
    worker_name: "w",
    worker_type: "process",
    heartbeat_interval_seconds: 30,
    supported_channel_versions: ["work_pool_worker_channel.v1"],
    requested_capabilities: ["worker_heartbeat.v1", "work_pool_snapshot.v1"],
    ...fields,
  },
});

test("the socket of a worker of an unknown pool is closed, and the pool's object stores nothing", async () => {
  const name = unique("nowhere");
  const socket = await connectAuthenticated(`/work_pools/${name}/workers/connect`);
  socket.send(hello());
  expect(await socket.closed).toEqual({ code: 1008, reason: "authorization_failed" });
  const tables = await runInDurableObject(pool(name), (_, state) =>
    state.storage.sql.exec("select name from sqlite_master where name like 'sluice%'").toArray(),
  );
  expect(tables).toEqual([]);
  expect((await api("GET", `/work_pools/${name}`)).status).toBe(404);
});

test("a worker's frame that is too large for a row is refused", async () => {
  const socket = await connectAuthenticated(`/work_pools/${unique("large")}/workers/connect`);
  socket.send(hello({ default_base_job_template: { text: "x".repeat(2_000_000) }, create_pool_if_not_found: true }));
  expect(await socket.closed).toEqual({ code: 1002, reason: "protocol_error" });
});

test.for([
  ["too many keys", { keys: Array.from({ length: 10_001 }, String), client_id: "c" }],
  ["too large a message", { keys: ["x".repeat(1_000_000)], client_id: "c" }],
  ["too long an id", { keys: ["k"], client_id: "c".repeat(1_001) }],
] as const)("a task worker's subscription with %s is refused", async ([, fields]) => {
  const socket = await connectAuthenticated("/task_runs/subscriptions/scheduled");
  socket.send({ type: "subscribe", ...fields });
  expect((await socket.closed).code).toBe(4001);
});

test("a name that is too long for a pool has no channel", async () => {
  await expect(connect(`/work_pools/${"x".repeat(2_001)}/workers/connect`)).rejects.toThrow("no socket: 403");
});
