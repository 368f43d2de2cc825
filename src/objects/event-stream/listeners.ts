/** The sockets of a workspace's `EventStream`: their handshake, and what is shown to those who listen. */
import type { Database } from "#db/database";
import { type Env, parseSettings } from "#env";
import type { PublishedLog } from "#events/emit";
import { EventFilter, matchesEvent, type Window, windowOf } from "#events/filter";
import { EventReader, type Found } from "#events/read-events";
import { eventHorizon } from "#events/retention";
import type { GatheredEvent } from "#events/segments";
import type { Clock, Micros } from "#lib/clock";
import { closeQuietly, isAuthenticated, parseMessage, upgrade, welcome } from "#objects/handshake";
import { LogFilter, matchesLog } from "#objects/event-stream/log-filter";

/** What a socket is for. */
export type Channel = "events-in" | "events-out" | "logs-out";

/** How far a socket has come; kept with the socket, so that it outlives the object's sleep. */
interface SocketState {
  channel: Channel;
  stage: "auth" | "filter" | "open";
  /** Whether the upgrade itself was authorised. */
  authorized: boolean;
  /** The filter's message as it came. */
  filter: string | null;
  /** How many messages a sender has sent. */
  messages?: number;
}

/** What the listeners need of their object. */
interface Surroundings {
  state: DurableObjectState;
  env: Env;
  clock: Clock;
  database: () => Database;
  workspace: () => string;
}

/** What a listener wants to see. */
type Wanted =
  | { channel: "events-out"; filter: EventFilter; window: Window; wantsBackfill: boolean }
  | { channel: "logs-out"; filter: LogFilter };

/** Prefect: PREFECT_SERVER_EVENTS_MAXIMUM_WEBSOCKET_BACKFILL. */
const MAX_BACKFILL: Micros = 15 * 60 * 1_000_000;
/** Prefect: PREFECT_SERVER_EVENTS_WEBSOCKET_BACKFILL_PAGE_SIZE. */
const BACKFILL_PAGE = 250;
/** What may be kept with a socket has 16 KB. */
const MAX_FILTER_CHARACTERS = 4_000;
const PROTOCOL_ERROR = 1002;

/** Sockets of one object. */
export class Listeners {
  private readonly around: Surroundings;
  private readonly senders = new WeakMap<WebSocket, SocketState>();
  private readonly wanted = new WeakMap<WebSocket, Wanted>();
  /** Events that came while a listener was still shown the earlier ones. */
  private readonly held = new Map<WebSocket, GatheredEvent[]>();

  constructor(around: Surroundings) {
    this.around = around;
  }

  /** Takes an upgrade. */
  accept(request: Request, channel: Channel): Response {
    return upgrade(request, (socket, { greets, authorized }) => {
      const stage = greets ? "auth" : stageAfterAuth(channel);
      this.around.state.acceptWebSocket(socket, [channel]);
      socket.serializeAttachment({ channel, stage, authorized, filter: null } satisfies SocketState);
    });
  }

  private stateOf(socket: WebSocket): SocketState {
    // Written by `accept` and `greet` alone.
    return socket.deserializeAttachment() as SocketState;
  }

  /** Whether what the socket sends are events. Asked for each of them, so a yes is remembered. */
  isSender(socket: WebSocket): boolean {
    if (this.senders.has(socket)) return true;
    const state = this.stateOf(socket);
    if (state.channel !== "events-in" || state.stage !== "open") return false;
    this.senders.set(socket, state);
    return true;
  }

  /** Counts a sender's message; the count outlives the object's sleep. */
  countMessage(socket: WebSocket): number {
    const state = this.senders.get(socket) ?? this.stateOf(socket);
    state.messages = (state.messages ?? 0) + 1;
    socket.serializeAttachment(state);
    return state.messages;
  }

  /** The next step of a handshake: who it is, then what it wants to see. */
  async greet(socket: WebSocket, text: string): Promise<void> {
    const state = this.stateOf(socket);
    if (state.stage === "open") return;
    const message = parseMessage(text);
    if (state.stage === "auth") {
      this.authenticate(socket, state, message);
      return;
    }
    await this.subscribe(socket, state, text, message);
  }

  private authenticate(socket: WebSocket, state: SocketState, message: Record<string, unknown>): void {
    if (!isAuthenticated(socket, message, state, this.around.env)) return;
    socket.serializeAttachment({ ...state, stage: stageAfterAuth(state.channel) } satisfies SocketState);
    welcome(socket);
  }

  private async subscribe(
    socket: WebSocket,
    state: SocketState,
    text: string,
    message: Record<string, unknown>,
  ): Promise<void> {
    if (message["type"] !== "filter") return closeQuietly(socket, PROTOCOL_ERROR, "Expected 'filter' message");
    if (text.length > MAX_FILTER_CHARACTERS)
      return closeQuietly(socket, 1009, `A filter may have ${MAX_FILTER_CHARACTERS} characters`);
    const wanted = readWanted(state.channel, message, this.around.clock());
    if ("wrong" in wanted) return closeQuietly(socket, PROTOCOL_ERROR, `Invalid filter: ${wanted.wrong}`);
    socket.serializeAttachment({ ...state, stage: "open", filter: text } satisfies SocketState);
    this.wanted.set(socket, wanted);
    if (wanted.channel === "events-out" && wanted.wantsBackfill) await this.backfill(socket, wanted);
  }

  /** Shows what is stored, then what came meanwhile. */
  private async backfill(
    socket: WebSocket,
    { filter, window }: Extract<Wanted, { channel: "events-out" }>,
  ): Promise<void> {
    const held: GatheredEvent[] = [];
    this.held.set(socket, held);
    try {
      const { env, clock, database, workspace } = this.around;
      const horizon = eventHorizon(parseSettings(env).services.db_vacuum, clock());
      const reader = new EventReader(database(), workspace(), horizon);
      const seen = new Set<string>();
      const query = { filter, window, limit: BACKFILL_PAGE };
      for (let after: Found | undefined, isMore = true; isMore;) {
        const page = await reader.page({
          ...query,
          after: after ? { occurred: after.occurred, id: after.event.id } : null,
        });
        for (const { event } of page) {
          seen.add(event.id);
          socket.send(`{"type":"event","event":${JSON.stringify(event)}}`);
        }
        after = page.at(-1);
        isMore = page.length === BACKFILL_PAGE;
      }
      for (const event of held) if (!seen.has(event.event.id)) sendEvent(socket, event);
    } catch (error) {
      console.error("a listener could not be shown the earlier events", error);
      closeQuietly(socket, 1011, "The earlier events could not be read.");
    } finally {
      this.held.delete(socket);
    }
  }

  /** Shows events to those who want them. */
  showEvents(events: readonly GatheredEvent[]): void {
    for (const socket of this.around.state.getWebSockets("events-out")) {
      const wanted = this.wantedBy(socket);
      if (wanted?.channel !== "events-out") continue;
      const { filter, window } = wanted;
      const shown = events.filter(
        ({ event, occurred }) => occurred >= window.since && occurred <= window.until && matchesEvent(filter, event),
      );
      const held = this.held.get(socket);
      if (held) held.push(...shown);
      else for (const event of shown) sendEvent(socket, event);
    }
  }

  /** Shows logs to those who want them. */
  showLogs(logs: readonly PublishedLog[]): void {
    for (const socket of this.around.state.getWebSockets("logs-out")) {
      const wanted = this.wantedBy(socket);
      if (wanted?.channel !== "logs-out") continue;
      for (const log of logs) {
        if (matchesLog(wanted.filter, log)) sendQuietly(socket, JSON.stringify({ type: "log", log }));
      }
    }
  }

  private wantedBy(socket: WebSocket): Wanted | undefined {
    const known = this.wanted.get(socket);
    if (known) return known;
    const { channel, filter } = this.stateOf(socket);
    if (filter === null) return undefined;
    const wanted = readWanted(channel, parseMessage(filter), this.around.clock());
    if ("wrong" in wanted) return undefined;
    this.wanted.set(socket, wanted);
    return wanted;
  }
}

function stageAfterAuth(channel: Channel): SocketState["stage"] {
  return channel === "events-in" ? "open" : "filter";
}

function readWanted(channel: Channel, message: Record<string, unknown>, now: Micros): Wanted | { wrong: string } {
  if (channel === "logs-out") {
    const filter = LogFilter.safeParse(message["filter"]);
    return filter.success ? { channel, filter: filter.data } : { wrong: wordsOf(filter.error) };
  }
  const filter = EventFilter.safeParse(message["filter"]);
  if (!filter.success) return { wrong: wordsOf(filter.error) };
  const { since, until } = windowOf(filter.data, now);
  const window = { since: Math.max(since, now - MAX_BACKFILL), until };
  return {
    channel: "events-out",
    filter: { ...filter.data, order: "ASC" },
    window,
    wantsBackfill: message["backfill"] !== false,
  };
}

function wordsOf(error: { issues: readonly { path: PropertyKey[]; message: string }[] }): string {
  return error.issues.map((issue) => `${issue.path.map(String).join(".")}: ${issue.message}`).join("; ");
}

function sendEvent(socket: WebSocket, event: GatheredEvent): void {
  sendQuietly(socket, `{"type":"event","event":${event.json}}`);
}

function sendQuietly(socket: WebSocket, text: string): void {
  try {
    socket.send(text);
  } catch {
    // The listener has gone; its socket's end is told apart from this.
  }
}
