import { env, runInDurableObject, SELF } from "cloudflare:test";
import { expect, test, vi } from "vitest";
import { DEFAULT_WORKSPACE } from "#env";
import { emitEvents, eventStream, publishLogs } from "#events/emit";
import { makeTools } from "#tools";
import { aResource, anEvent, connect, connectAuthenticated } from "../../events/world.ts";
import { api } from "../../support/world.ts";
import { segmentsWith } from "../../support/segments";

const tools = () => makeTools(env, DEFAULT_WORKSPACE, () => {});
const nested = (levels: number) =>
  JSON.parse(`${'{"a":'.repeat(levels)}1${"}".repeat(levels)}`) as Record<string, unknown>;
const AHEAD = "2099-01-01T00:00:00Z";
const wanting = (about: string) => ({
  type: "filter",
  filter: { resource: { id: [about] }, occurred: { since: new Date(Date.now() - 60_000).toISOString(), until: AHEAD } },
});

test("a socket with the subprotocol must authenticate, and then gets a welcome", async () => {
  const response = await SELF.fetch("http://sluice/api/events/in", {
    headers: { upgrade: "websocket", "sec-websocket-protocol": "other, prefect" },
  });
  expect(response.status).toBe(101);
  expect(response.headers.get("sec-websocket-protocol")).toBe("prefect");
  const socket = await connect("/events/in");
  socket.send({ type: "auth", token: null });
  expect(await socket.until(1)).toEqual({ type: "auth_success" });
});

test.for(["/events/in", "/events/out", "/logs/out"])("%s closes a socket that does not authenticate", async (path) => {
  const socket = await connect(path);
  socket.send({ type: "hello" });
  expect(await socket.closed).toEqual({ code: 1008, reason: "Expected 'auth' message" });
});

test("a socket without the subprotocol is open at once if no key is set", async () => {
  const event = anEvent();
  const about = event.resource["prefect.resource.id"] ?? "";
  const listener = await connect("/events/out", { legacy: true });
  listener.send(wanting(about));
  const sender = await connect("/events/in", { legacy: true });
  sender.send(event);
  expect(await listener.until(1)).toEqual({ type: "event", event: { ...event, received: expect.any(String) } });
});

test("a listener gets the stored events and then the new events, each once", async () => {
  const about = aResource();
  const occurred = (seconds: number) => new Date(Date.now() - seconds * 1000).toISOString().replace("Z", "000Z");
  const [old, earlier, live] = [
    anEvent({ about, occurred: occurred(20) }),
    anEvent({ about, occurred: occurred(10) }),
    anEvent({ about }),
  ];
  await emitEvents(tools(), [earlier, old, anEvent()]);
  const socket = await connectAuthenticated("/events/out");
  socket.send(wanting(about));
  await socket.until(3);
  await emitEvents(tools(), [anEvent(), live]);
  await socket.until(4);
  const shown = socket.messages.slice(1).map((message) => (message["event"] as { id: string }).id);
  expect(shown).toEqual([old.id, earlier.id, live.id]);
});

test("a listener without a backfill gets no stored events", async () => {
  const about = aResource();
  await emitEvents(tools(), [anEvent({ about })]);
  const live = anEvent({ about });
  const socket = await connectAuthenticated("/events/out");
  socket.send({ ...wanting(about), backfill: false });
  // Two calls of one object are answered in order, and messages of a socket arrive before a later call.
  await socket.until(1);
  await new Promise((resolve) => setTimeout(resolve, 50));
  await emitEvents(tools(), [live]);
  await socket.until(2);
  expect(socket.messages.slice(1)).toEqual([{ type: "event", event: expect.objectContaining({ id: live.id }) }]);
});

test.for([
  [{ type: "auth" }, "Expected 'filter' message"],
  [{ type: "filter", filter: { colour: 1 } }, "Invalid filter: "],
] as const)("a listener that sends %j is closed with a reason", async ([message, reason]) => {
  const socket = await connectAuthenticated("/events/out");
  socket.send(message);
  const closed = await socket.closed;
  expect(closed.code).toBe(1002);
  expect(closed.reason.startsWith(reason)).toBe(true);
});

test.for([
  ["an event without a resource", (): unknown => ({ ...anEvent(), resource: {} })],
  [
    "an event with too many related resources",
    (): unknown =>
      anEvent({
        related: Array.from({ length: 101 }, () => ({ "prefect.resource.id": "x", "prefect.resource.role": "y" })),
      }),
  ],
  ["text that is no JSON", (): unknown => "no event"],
  ["a message of nine million characters", (): unknown => anEvent({ payload: { text: "x".repeat(9_000_000) } })],
  ["an event that nests too deep", (): unknown => ({ ...anEvent(), payload: nested(1_100) })],
] as const)("%s is ignored, and the events before and after it are stored", async ([, bad]) => {
  const warning = vi.spyOn(console, "warn").mockImplementation(() => {});
  const [before, after] = [anEvent(), anEvent()];
  const socket = await connectAuthenticated("/events/in");
  for (const message of [before, bad(), after]) socket.send(message);
  const filter = { id: { id: [before.id, after.id] } };
  await expect
    .poll(async () => (await api<{ total: number }>("POST", "/events/filter", { filter })).body.total)
    .toBe(2);
  expect(warning).toHaveBeenCalledOnce();
  warning.mockRestore();
  socket.close();
  expect((await socket.closed).code).toBe(1000);
});

test.for(["/events/out", "/logs/out"])("%s refuses a filter with huge lists", async (path) => {
  const socket = await connectAuthenticated(path);
  const ids = Array.from({ length: 200 }, () => crypto.randomUUID());
  socket.send({ type: "filter", filter: path === "/logs/out" ? { flow_run_id: { any_: ids } } : { id: { id: ids } } });
  expect(await socket.closed).toEqual({ code: 1009, reason: "A filter may have 4000 characters" });
});

test("a listener gets the logs that its filter matches", async () => {
  const runId = crypto.randomUUID();
  const log = (message: string, level: number, flow_run_id: string) => ({
    id: crypto.randomUUID(),
    created: "2026-01-01T00:00:00Z",
    updated: "2026-01-01T00:00:00Z",
    name: "prefect.flow_runs",
    level,
    message,
    timestamp: "2026-01-01T00:00:00Z",
    flow_run_id,
    task_run_id: null,
  });
  const socket = await connectAuthenticated("/logs/out");
  socket.send({ type: "filter", filter: { flow_run_id: { any_: [runId] }, level: { ge_: 20 } } });
  await new Promise((resolve) => setTimeout(resolve, 50));
  const wanted = log("wanted", 20, runId);
  await publishLogs(tools(), [log("too low", 10, runId), log("of another", 40, crypto.randomUUID()), wanted]);
  expect(await socket.until(2)).toEqual({ type: "log", log: wanted });
});

test("concurrent events are in one segment", async () => {
  const about = aResource();
  await Promise.all(Array.from({ length: 40 }, () => emitEvents(tools(), [anEvent({ about })])));
  const rows = await env.DB.prepare("select count(*) as n from event_resource where resource_id = ?")
    .bind(about)
    .first("n");
  expect(Number(rows)).toBeLessThanOrEqual(3);
});

test("an event that is sent again after an eviction of the object is stored once", async () => {
  const workspace = crypto.randomUUID();
  const other = makeTools(env, workspace, () => {});
  const event = anEvent();
  await emitEvents(other, [event]);
  await runInDurableObject(eventStream(env.EVENT_STREAM, workspace), (object: unknown) => {
    (object as { gatherer: unknown }).gatherer = undefined;
  });
  await emitEvents(other, [anEvent(), event]);
  const rows = await env.DB.prepare("select sum(event_count) as n from event_segment where workspace_id = ?")
    .bind(workspace)
    .first("n");
  expect(rows).toBe(2);
});

test("a sender gets an error if its events could not be written, and may send them again", async () => {
  const event = anEvent();
  const stub = eventStream(env.EVENT_STREAM, "00000000-0000-4000-8000-0000000000ff");
  const silence = vi.spyOn(console, "error").mockImplementation(() => {});
  const other = makeTools(env, "00000000-0000-4000-8000-0000000000ff", () => {});
  await emitEvents(other, [anEvent()]);
  const database = await runInDurableObject(stub, (object: unknown) => {
    const { bindings } = object as { bindings: { DB: unknown } };
    const kept = bindings.DB;
    bindings.DB = { prepare: () => ({ bind: () => ({}) }), batch: () => Promise.reject(new Error("no such disk")) };
    return kept;
  });
  await expect(emitEvents(other, [event])).rejects.toMatchObject({ status: 503 });
  await runInDurableObject(stub, (object: unknown) => {
    (object as { bindings: { DB: unknown } }).bindings.DB = database;
  });
  await emitEvents(other, [event]);
  silence.mockRestore();
  expect(await segmentsWith(event.id)).toHaveLength(1);
});
