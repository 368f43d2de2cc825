import { env, evictDurableObject, runInDurableObject, SELF } from "cloudflare:test";
import { afterEach, expect, test, vi } from "vitest";
import { DEFAULT_WORKSPACE } from "#env";
import { emitEvents, eventStream, publishLogs } from "#events/emit";
import type { Event } from "#events/event";
import type { EventQuery, EventsPage } from "#events/page";
import { EventReader } from "#events/read-events";
import { Backlog, MAX_BACKLOG, MAX_BACKLOG_IN_ALL } from "#objects/event-stream/backlog";
import { makeTools } from "#tools";
import { parseTime, printTime } from "#wire/dates";
import { aResource, anEvent, connectAuthenticated, type Socket } from "../../events/world.ts";

const tools = () => makeTools(env, DEFAULT_WORKSPACE, () => {});
const AHEAD = "2099-01-01T00:00:00Z";
const MINUTE = 60_000_000;
const SIZE = 200_000;

afterEach(() => vi.useRealTimers());

const aSocket = (): WebSocket => new WebSocketPair()[0];

/** More events than one socket may have unread. */
const many = (about: string, fields: Partial<Event> = {}): Event[] =>
  Array.from({ length: 35 }, (_, index) =>
    anEvent({ about, payload: { n: index, text: "x".repeat(SIZE) }, ...fields }),
  );

async function listen(about: string, since: string, rest: Record<string, unknown> = {}): Promise<Socket> {
  const socket = await connectAuthenticated("/events/out");
  socket.send({ type: "filter", filter: { resource: { id: [about] }, occurred: { since, until: AHEAD } }, ...rest });
  return socket;
}

const shownBy = (socket: Socket): Event[] =>
  socket.messages.flatMap(({ type, event }) => (type === "event" ? [event as Event] : []));

/**
 * Reconnects as the stock client does, until so many different events arrived. Gives all events in the order of
 * arrival.
 */
async function follow(about: string, first: Socket, since: string, wanted: number): Promise<Event[]> {
  const shown: Event[] = [];
  let from = parseTime(since) ?? 0;
  for (let socket = first; ; socket = await listen(about, printTime(from))) {
    let closed: unknown = null;
    while (closed === null && countOf([...shown, ...shownBy(socket)]) < wanted) {
      const next = socket.until(socket.messages.length + 1).then(() => null);
      closed = await Promise.race([socket.closed, next]);
    }
    shown.push(...shownBy(socket));
    for (const { occurred } of shown) from = Math.max(from, (parseTime(occurred) ?? 0) - MINUTE);
    if (countOf(shown) >= wanted) return shown;
    expect(closed).toEqual({ code: 1013, reason: "More was sent than may be unread. Connect again to go on." });
  }
}

const countOf = (events: readonly Event[]): number => new Set(events.map(({ id }) => id)).size;

const ago = (seconds: number) => printTime((Date.now() - seconds * 1000) * 1000);

test("a listener with too many unread events is closed, and continues at its place after it reconnects", async () => {
  const about = aResource();
  const since = ago(60);
  const socket = await listen(about, since);
  await vi.waitFor(() => expect(socket.messages).toHaveLength(1));
  await new Promise((resolve) => setTimeout(resolve, 100));
  const sent = many(about);
  for (let first = 0; first < sent.length; first += 5) await emitEvents(tools(), sent.slice(first, first + 5));
  const shown = await follow(about, socket, since, sent.length);
  expect(new Set(shown.map(({ id }) => id))).toEqual(new Set(sent.map(({ id }) => id)));
  // After each close, only a segment that was sent in part is sent again.
  expect(shown.length).toBeLessThanOrEqual(sent.length + 10);
});

test("a listener is closed during a long list of stored events, and continues at its place", async () => {
  const about = aResource();
  const sent = many(about).map((event, index) => ({ ...event, occurred: ago(50 - index) }));
  for (let first = 0; first < sent.length; first += 5) await emitEvents(tools(), sent.slice(first, first + 5));
  const since = ago(600);
  const socket = await listen(about, since);
  const shown = await follow(about, socket, since, sent.length);
  expect(shown.map(({ id }) => id)).toEqual(sent.map(({ id }) => id));
});

test("many listeners that connect at once get stored events in turn, in portions", async () => {
  const about = aResource();
  const sent = many(about).map((event, index) => ({ ...event, occurred: ago(50 - index) }));
  for (let first = 0; first < sent.length; first += 5) await emitEvents(tools(), sent.slice(first, first + 5));
  // By its name, because a method that is taken from its class has no `this`.
  const pages: (this: EventReader, query: EventQuery) => Promise<EventsPage> = Reflect.get(
    EventReader.prototype,
    "page",
  );
  let atOnce = 0;
  const seen = { most: 0, characters: 0 };
  const spy = vi.spyOn(EventReader.prototype, "page").mockImplementation(async function (this: EventReader, query) {
    seen.most = Math.max(seen.most, (atOnce += 1));
    try {
      const answer = await pages.call(this, query);
      seen.characters = Math.max(seen.characters, JSON.stringify(answer.found).length);
      return answer;
    } finally {
      atOnce -= 1;
    }
  });
  const listeners = await Promise.all(Array.from({ length: 8 }, () => listen(about, ago(600))));
  const gone = await listen(about, ago(600));
  gone.close();
  for (const listener of listeners) await listener.closed;
  spy.mockRestore();
  for (const listener of listeners) expect(countOf(shownBy(listener))).toBeGreaterThanOrEqual(15);
  expect(seen.most).toBe(2);
  expect(seen.characters).toBeLessThan(1_300_000);
});

test("a listener for logs is closed too", async () => {
  const socket = await connectAuthenticated("/logs/out");
  const flow_run_id = crypto.randomUUID();
  socket.send({ type: "filter", filter: { flow_run_id: { any_: [flow_run_id] } } });
  await new Promise((resolve) => setTimeout(resolve, 100));
  const time = "2026-01-01T00:00:00Z";
  const log = { id: "", created: time, updated: time, name: "n", level: 20, timestamp: time, task_run_id: null };
  const message = "x".repeat(500_000);
  for (let n = 0; n < 10; n++) await publishLogs(tools(), [{ ...log, id: crypto.randomUUID(), message, flow_run_id }]);
  expect((await socket.closed).code).toBe(1013);
  expect(socket.messages.length).toBeLessThan(10);
});

test("the unread bytes of one socket and of all sockets are bounded, and a closed socket frees its bytes", () => {
  const backlog = new Backlog();
  const sockets = Array.from({ length: 9 }, aSocket);
  const [first, , , , , , , , last] = sockets;
  if (!first || !last) throw new Error("no sockets");
  for (const socket of sockets.slice(0, 8)) expect(backlog.add(socket, MAX_BACKLOG)).toBe(true);
  expect(backlog.add(first, 1)).toBe(false);
  expect(8 * MAX_BACKLOG).toBe(MAX_BACKLOG_IN_ALL);
  expect(backlog.add(last, 1)).toBe(false);
  backlog.close(first, 0);
  expect(backlog.add(last, 1)).toBe(false);
  backlog.drop(first);
  expect(backlog.add(last, 1)).toBe(true);
});

test("the first text of a socket is always sent, whatever its size", () => {
  expect(new Backlog().add(aSocket(), MAX_BACKLOG + 1)).toBe(true);
});

test("if too much is unread, the sockets with the most unread bytes are closed, and no more sockets than necessary", () => {
  const backlog = new Backlog();
  const sockets = Array.from({ length: 7 }, aSocket);
  for (const [index, socket] of sockets.entries()) backlog.add(socket, 3_400_000 + index);
  expect(backlog.toClose()).toBeUndefined();
  const small = aSocket();
  backlog.add(small, 400_000);
  const closed: WebSocket[] = [];
  for (let next = backlog.toClose(); next; next = backlog.toClose()) {
    backlog.close(next, 0);
    closed.push(next);
  }
  expect(closed).toEqual(sockets.toReversed().slice(0, 4));
});

/** Delivers a socket message to the object. */
const say = (object: unknown, socket: WebSocket, data: string): Promise<void> =>
  (object as { webSocketMessage(socket: WebSocket, data: string): Promise<void> }).webSocketMessage(socket, data);

test("sockets of listeners that do not read are closed, so that other listeners get events", async () => {
  vi.spyOn(console, "error").mockImplementation(() => {});
  const workspace = crypto.randomUUID();
  const other = makeTools(env, workspace, () => {});
  const stub = eventStream(env.EVENT_STREAM, workspace);
  await emitEvents(other, [anEvent()]);
  const headers = { upgrade: "websocket", "x-sluice-channel": "events-out", "x-sluice-authorized": "1" };
  const unread = await Promise.all(
    Array.from({ length: 8 }, () =>
      stub.fetch("http://sluice/", { headers: { ...headers, "x-sluice-workspace": workspace } }),
    ),
  );
  expect(unread.map(({ status }) => status)).toEqual(unread.map(() => 101));
  const filter = JSON.stringify({ type: "filter", filter: { occurred: { until: AHEAD } }, backfill: false });
  await runInDurableObject(stub, async (object: unknown, state) => {
    Object.assign(object as object, { marked: true });
    for (const socket of state.getWebSockets("events-out")) await say(object, socket, filter);
  });
  const large = () => anEvent({ payload: { text: "x".repeat(900_000) } });
  for (let n = 0; n < 6; n++) await emitEvents(other, [large()]);
  const states = await runInDurableObject(stub, (_, state) =>
    state.getWebSockets("events-out").map((s) => s.readyState),
  );
  expect(states.every((readyState) => readyState !== WebSocket.READY_STATE_OPEN)).toBe(true);
  const next = await stub.fetch("http://sluice/", { headers: { ...headers, "x-sluice-workspace": workspace } });
  expect(next.status).toBe(101);
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 31_000 });
  await runInDurableObject(stub, async (object: unknown, state) => {
    for (const socket of state.getWebSockets("events-out"))
      if (socket.readyState === WebSocket.READY_STATE_OPEN) await say(object, socket, filter);
  });
  await emitEvents(other, [large()]).catch(() => {});
  await vi.waitFor(async () => {
    const anew = eventStream(env.EVENT_STREAM, workspace);
    const isMarked = await runInDurableObject(anew, (object: unknown) => "marked" in (object as object));
    expect(isMarked).toBe(false);
  });
  expect(await SELF.fetch("http://sluice/api/health").then(({ status }) => status)).toBe(200);
});

test("the unread bytes of a listener are still known after the object hibernated", async () => {
  const about = aResource();
  const socket = await listen(about, ago(60), { backfill: false });
  await vi.waitFor(() => expect(socket.messages).toHaveLength(1));
  await new Promise((resolve) => setTimeout(resolve, 100));
  const sent = many(about);
  for (let first = 0; first < 15; first += 5) await emitEvents(tools(), sent.slice(first, first + 5));
  await socket.until(16);
  await evictDurableObject(eventStream(env.EVENT_STREAM, DEFAULT_WORKSPACE));
  for (let first = 15; first < 25; first += 5) await emitEvents(tools(), sent.slice(first, first + 5));
  expect((await socket.closed).code).toBe(1013);
  expect(shownBy(socket).length).toBeLessThan(25);
});
