/** The `EventStream` object: gathers a workspace's events into segments and shows the events to listeners. */
import { Buffer } from "node:buffer";
import { databaseFor } from "#databases";
import { Database } from "#db/database";
import { hasWork, segmentMessages } from "#events/consumer";
import { keepDeadLetter, reasonOf } from "#events/dead-letters";
import {
  EventsSetAside,
  LOGS_URL,
  SETTLE_URL,
  type SettleCall,
  type StreamCall,
  type StreamRefusal,
} from "#events/emit";
import { Event, MAX_EVENT_BYTES, type ReceivedEvent, receiveEvent, resourceId } from "#events/event";
import { readRecentIds, RecentSegments } from "#events/recent-segments";
import { buildSegments, fitsRow, type GatheredEvent, keyOf, writeSegments } from "#events/segments";
import { isTaskRunReport } from "#events/task-runs";
import { SOCKET_HEADERS } from "#http/socket";
import { type Micros, systemIds } from "#lib/clock";
import { spend, totalCost } from "#lib/cost";
import { parseJson, STORED_JSON_DEPTH, TooDeep } from "#lib/json";
import { log } from "#lib/log";
import { closeQuietly, sizeOf, textOf } from "#objects/handshake";
import { EventGatherer } from "#objects/event-stream/gather";
import type { Channel } from "#objects/event-stream/listener-filter";
import { Listeners } from "#objects/event-stream/listeners";
import { SocketObject } from "#objects/sockets";
import { parseTime } from "#wire/dates";

const ids = systemIds();

/**
 * After this many messages of a socket, all waiting events are written before the next message is read. This number
 * divides 700, because the client pings after 700 events. Each write is a pause.
 */
const WRITTEN_EVERY = 350;
/** How long after a write of reports a reader has to read D1 again, because its first read may have run before the write. */
const JUST_NOW: Micros = 2_000_000;

/** How many characters a message may have: as many as the body of a request. */
const MAX_MESSAGE_CHARACTERS = 8_388_608;

export class EventStream extends SocketObject {
  override readonly migrations = [];
  /** Empty: `fetch` reads the bodies of calls itself, because the bodies are large and each kind has its own fastest way. */
  override readonly contract = {};
  readonly recent = new RecentSegments(this.clock());
  private readonly listeners = new Listeners(this);
  private gatherer: EventGatherer | undefined;
  /** When reports of task runs were last written. */
  private reportsWritten = 0;
  private isLettingGo = false;

  override onTimer(_name: string): void {}

  override accept(request: Request, channel: string): Response {
    this.open();
    this.keepIdentity();
    return this.listeners.accept(request, channel as Channel);
  }

  /** Upgrades, and calls that carry events or logs in their body. */
  override async fetch(request: Request): Promise<Response> {
    if (request.headers.has(SOCKET_HEADERS.channel)) return super.fetch(request);
    this.open();
    if (request.url === SETTLE_URL) return this.settleReports((await request.json()) as SettleCall);
    // Our own code sends the call. The version names the format of the call.
    const text = await request.text();
    const call = (request.url === LOGS_URL ? JSON.parse(text) : parseJson(text, STORED_JSON_DEPTH)) as StreamCall;
    if (call.v !== 1)
      return Response.json({ error: `call version ${String(call.v)} is not understood` }, { status: 400 });
    this.identify({ workspace: call.workspace, name: null });
    this.keepIdentity();
    if (call.logs.length > 0) this.listeners.showLogs(call.logs);
    return this.takeEvents(call.events, call.again);
  }

  /** Writes the gathered reports of some runs. Answers "nothing" if there are none, and none was written just before. */
  private async settleReports({ flow_run_ids, task_run_ids }: SettleCall): Promise<Response> {
    const runs = new Set([
      ...flow_run_ids.map((id) => `prefect.flow-run.${id}`),
      ...task_run_ids.map((id) => `prefect.task-run.${id}`),
    ]);
    const tellsOfOne = (event: ReceivedEvent) =>
      isTaskRunReport(event) && [event.resource, ...event.related].some((resource) => runs.has(resourceId(resource)));
    const isSettled = await this.theGatherer().settleSome(({ event }) => tellsOfOne(event));
    return new Response(isSettled || this.clock() - this.reportsWritten < JUST_NOW ? "settled" : "nothing");
  }

  private async takeEvents(events: readonly ReceivedEvent[], again?: boolean): Promise<Response> {
    try {
      await this.theGatherer().add(events.flatMap(gathered), again);
      return new Response(null, { status: 204 });
    } catch (error) {
      // The caller decides whether to try again. An exception would only be logged once more.
      const setAside = error instanceof EventsSetAside && { set_aside: [...error.ids] };
      return Response.json({ error: reasonOf(error), ...setAside } satisfies StreamRefusal, { status: 503 });
    }
  }

  /** Handles a message of a socket: a client's event, or a step of a handshake. */
  override async webSocketMessage(socket: WebSocket, message: string | ArrayBuffer): Promise<void> {
    this.open();
    const count = this.listeners.countEvent(socket);
    if (count === null) return this.listeners.greet(socket, message);
    this.takeEvent(socket, message);
    // Prefect: the client forgets the events that it sent before an answered ping, and pings after each 700 events. The
    // runtime answers pings itself, but reads no ping while a message is handled.
    if (count % WRITTEN_EVERY === 0 || this.theGatherer().isFull()) await this.theGatherer().settle();
  }

  override webSocketClose(socket: WebSocket, code: number, reason: string, isClean: boolean): Promise<void> {
    this.open();
    // A client closes its socket when its flow has ended. A reader may ask at once for the last events of the flow.
    this.theGatherer().flushSoon();
    return super.webSocketClose(socket, code, reason, isClean);
  }

  override left(socket: WebSocket, isConfirmed: boolean): void {
    this.listeners.left(socket, isConfirmed);
  }

  /**
   * A message that is not an event is skipped. If the socket were closed, the client would send the message again with
   * all events that are not confirmed, and be closed again, until the client gives up and loses the other events.
   */
  private takeEvent(socket: WebSocket, message: string | ArrayBuffer): void {
    const parsed = parseEvent(message);
    if ("wrong" in parsed) {
      const fields = { characters: sizeOf(message), reason: parsed.wrong };
      return this.log("warn", "a message is passed over", fields);
    }
    // Not awaited: the next message must not wait for the write of this event. A client sends again when its socket is closed.
    this.theGatherer()
      .add(gathered(receiveEvent(parsed.event, this.clock())))
      .catch(() => closeQuietly(socket, 1011, "The event could not be written."));
  }

  private async writeEvents(events: readonly GatheredEvent[]): Promise<void> {
    const workspace = this.identity().workspace;
    const segments = buildSegments(events, this.clock(), ids);
    try {
      await writeSegments(this.database(), workspace, segments, hasWork);
    } catch (error) {
      this.recent.restart(this.clock());
      throw error;
    }
    this.recent.add(segments, this.clock());
    const withReports = segments.filter(hasWork);
    if (withReports.length > 0) this.reportsWritten = this.clock();
    await this.queue(workspace, withReports.map(keyOf));
    this.show(events);
  }

  /** Shows events to the listeners. A failure is only logged, because the events are written. */
  private show(events: readonly GatheredEvent[]): void {
    try {
      this.listeners.showEvents(events);
    } catch (error) {
      this.log("error", "events could not be shown to the listeners", { error });
    }
  }

  private async setAside({ event }: GatheredEvent, error: unknown): Promise<void> {
    const keeper = { db: this.database(), workspaceId: this.identity().workspace, clock: this.clock, ids };
    await keepDeadLetter(keeper, { queue: "events", key: event.id, reason: reasonOf(error), message: event });
  }

  /** Queues segments for the consumer. If segments do not reach the queue, a sweep queues them again. */
  private async queue(workspace: string, keys: ReturnType<typeof keyOf>[]): Promise<void> {
    const messages = segmentMessages(workspace, keys);
    if (messages.length === 0) return;
    try {
      await this.bindings.EVENTS.sendBatch(messages.map((body) => ({ body })));
      spend(totalCost, { queue_messages: messages.length });
    } catch (error) {
      this.log("error", "segments could not be queued and are left to the sweep", { error });
    }
  }

  database(): Database {
    return new Database(databaseFor(this.bindings, this.identity().workspace).d1, totalCost);
  }

  private theGatherer(): EventGatherer {
    return (this.gatherer ??= new EventGatherer({
      write: (events) => this.writeEvents(events),
      recall: () => readRecentIds(this.database(), this.identity().workspace, this.clock()),
      setAside: (event, error) => this.setAside(event, error),
    }));
  }

  /** Ends the object and its sockets, after a write. Clients connect again, and send again the events that were not confirmed. */
  letGo(why: string): void {
    if (this.isLettingGo) return;
    this.isLettingGo = true;
    this.log("error", "the event stream starts anew", { reason: why });
    const abort = () => this.state.abort(why);
    this.theGatherer().settle().then(abort, abort);
  }
}

/** The event with its JSON, in a list. The list is empty if the event is too large. */
function gathered(event: ReceivedEvent): GatheredEvent[] {
  const json = JSON.stringify(event);
  const occurred = parseTime(event.occurred);
  // Prefect: `EventPublisher.publish_event` refuses such an event with a warning, and the client gets no answer.
  const isTooLarge = Buffer.byteLength(json) > MAX_EVENT_BYTES || !fitsRow({ event, json });
  if (occurred === undefined || isTooLarge) {
    log({}, "warn", "an event is too large and is passed over", { event_id: event.id, characters: json.length });
    return [];
  }
  return [{ event, occurred, json }];
}

function parseEvent(message: string | ArrayBuffer): { event: Event } | { wrong: string } {
  if (sizeOf(message) > MAX_MESSAGE_CHARACTERS) return { wrong: "It is too large" };
  try {
    const parsed = Event.safeParse(parseJson(textOf(message)));
    if (parsed.success) return { event: parsed.data };
    const [issue] = parsed.error.issues;
    return { wrong: `Invalid event: ${issue?.path.map(String).join(".").slice(0, 200)}: ${issue?.message}` };
  } catch (error) {
    return { wrong: `Invalid event: ${error instanceof TooDeep ? error.message : "not JSON"}` };
  }
}
