/** The sockets of a workspace's `EventStream`: their handshake, and the events and logs that listeners are shown. */
import { Buffer } from "node:buffer";
import type { Database } from "#db/database";
import type { Log } from "#wire/log";
import type { EventsPage } from "#events/page";
import { eventReader } from "#events/read-events";
import { matchesEvent } from "#events/filter";
import type { RecentSegments } from "#events/recent-segments";
import type { GatheredEvent } from "#events/segments";
import type { Micros } from "#lib/clock";
import { Turns } from "#lib/turns";
import {
  closeQuietly,
  isAuthenticated,
  isSmallGreeting,
  parseMessage,
  sendQuietly,
  textOf,
  upgrade,
  welcome,
} from "#objects/handshake";
import { Backlog, type Pass, Resumes } from "#objects/event-stream/backlog";
import {
  type Channel,
  type EventsFilter,
  type ListenerFilter,
  matchesLog,
  readListenerFilter,
} from "#objects/event-stream/listener-filter";
import { attachments, type SocketObject } from "#objects/sockets";

/** The stage of a socket's handshake, and the socket's counts. Kept with the socket, so that they survive the object's hibernation. */
interface SocketState {
  channel: Channel;
  stage: "auth" | "filter" | "open";
  /** Whether the upgrade itself was authorised. */
  authorized: boolean;
  /** The filter's message, as the client sent it. */
  filter: string | null;
  /** How many messages a sender has sent. */
  messages?: number;
  /** How many bytes a listener was sent, rounded down to whole steps. */
  sent?: number;
}

const { keep, stateOf } = attachments<SocketState>();

/** What a listener to events was shown, and what it has not been shown yet. */
interface Progress {
  /** The stored events that the listener has not been shown yet. */
  passes: Pass[];
  /** The time from which the listener is shown events as they are written. */
  liveSince: Micros;
  isLive: boolean;
  /** When the newest event that the listener was shown occurred. */
  newest: Micros | null;
  /** Events that arrived while the listener was still shown earlier events. They count as sent. */
  waiting: GatheredEvent[];
}

/** Prefect: PREFECT_SERVER_EVENTS_WEBSOCKET_BACKFILL_PAGE_SIZE. */
const BACKFILL_PAGE = 250;
/** How many characters of the stored events are read at a time. An object has 128 MB for all its listeners, and may have hundreds. */
const BACKFILL_CHARACTERS = 1_000_000;
/** How many listeners are shown stored events at the same time. The other listeners wait. */
const BACKFILLS_AT_ONCE = 2;
/** How many characters a filter may have. The filter is kept with its socket, in 16 KB. */
const MAX_FILTER_CHARACTERS = 4_000;
/** How many sockets one object keeps; the runtime keeps at most 32,768. */
const MAX_SOCKETS = 20_000;
/** The count of a listener's bytes is written again after this many more bytes. */
const SENT_STEP = 250_000;
const PROTOCOL_ERROR = 1002;
/** Try again later: the stock client connects again. */
const TRY_AGAIN = 1013;
const READ_TOO_LITTLE = "More was sent than may be unread. Connect again to go on.";

/** The object of the listeners. */
interface ListenersHost extends SocketObject {
  /** The segments that were written recently. */
  readonly recent: RecentSegments;
  database(): Database;
  /** Ends the object and all its sockets, after the waiting events are written. */
  letGo(why: string): void;
}

/** The sockets of one object. */
export class Listeners {
  private readonly object: ListenersHost;
  private readonly senders = new WeakMap<WebSocket, SocketState>();
  private readonly wanted = new WeakMap<WebSocket, ListenerFilter>();
  private readonly progress = new Map<WebSocket, Progress>();
  private readonly backlog = new Backlog();
  private readonly resumes = new Resumes();
  private readonly turns = new Turns(BACKFILLS_AT_ONCE);
  /** The listeners were shown all events that were written before this time. */
  private shownUntil: Micros;

  constructor(object: ListenersHost) {
    this.object = object;
    this.shownUntil = object.clock();
    for (const channel of ["events-out", "logs-out"] satisfies Channel[])
      for (const socket of object.state.getWebSockets(channel)) this.backlog.add(socket, stateOf(socket).sent ?? 0);
  }

  /** Takes an upgrade. */
  accept(request: Request, channel: Channel): Response {
    const refusal = this.object.greetings.refusal();
    if (refusal) return refusal;
    if (this.object.state.getWebSockets().length >= MAX_SOCKETS)
      return Response.json({ detail: "Too many sockets are open" }, { status: 503, headers: { "Retry-After": "5" } });
    return upgrade(request, (socket, { greets, authorized }) => {
      const stage = greets ? "auth" : stageAfterAuth(channel);
      this.object.state.acceptWebSocket(socket, [channel]);
      keep(socket, { channel, stage, authorized, filter: null });
      if (stage !== "open") this.object.greetings.begin(socket);
    });
  }

  /** Counts an event that a socket sends; null if the socket does not send events. The count survives the object's hibernation. */
  countEvent(socket: WebSocket): number | null {
    const state = this.senders.get(socket) ?? stateOf(socket);
    if (state.channel !== "events-in" || state.stage !== "open") return null;
    this.senders.set(socket, state);
    state.messages = (state.messages ?? 0) + 1;
    keep(socket, state);
    return state.messages;
  }

  /** The next step of a handshake: the socket authenticates, then sends its filter. */
  async greet(socket: WebSocket, data: string | ArrayBuffer): Promise<void> {
    const state = stateOf(socket);
    if (state.stage === "open" || socket.readyState !== WebSocket.READY_STATE_OPEN) return;
    if (!isSmallGreeting(socket, data)) return;
    const text = textOf(data);
    const message = parseMessage(text);
    if (state.stage === "auth") return this.authenticate(socket, state, message);
    await this.subscribe(socket, state, text, message);
  }

  private authenticate(socket: WebSocket, state: SocketState, message: Record<string, unknown>): void {
    if (!isAuthenticated(socket, message, state.authorized, this.object.bindings)) return;
    const stage = stageAfterAuth(state.channel);
    keep(socket, { ...state, stage });
    if (stage === "open") this.object.greetings.end(socket);
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
    const wanted = readListenerFilter(state.channel, message, this.object.clock());
    if ("wrong" in wanted) return closeQuietly(socket, PROTOCOL_ERROR, `Invalid filter: ${wanted.wrong}`);
    keep(socket, { ...state, stage: "open", filter: text });
    this.object.greetings.end(socket);
    this.wanted.set(socket, wanted);
    if (wanted.channel === "events-out" && wanted.wantsBackfill) await this.backfill(socket, wanted);
  }

  /** Shows the stored events, then the events that arrived meanwhile. */
  private async backfill(socket: WebSocket, wanted: EventsFilter): Promise<void> {
    const left = this.resumes.find(wanted.filter) ?? [{ writtenSince: null, after: null }];
    const passes = left.map((pass) => ({ ...pass }));
    try {
      await this.showStored(socket, wanted, this.begin(socket, passes));
    } catch (error) {
      this.object.log("error", "a listener could not be shown the earlier events", { error });
      closeQuietly(socket, 1011, "The earlier events could not be read.");
    }
  }

  private async showStored(socket: WebSocket, { filter, window }: EventsFilter, progress: Progress): Promise<void> {
    const { workspace } = this.object.identity();
    const reader = eventReader(this.object.tools());
    const seen = new Set<string>();
    for (let pass = progress.passes[0]; pass; pass = progress.passes[0]) {
      const known =
        pass.writtenSince === null
          ? await this.object.recent.inWindow(
              this.object.database(),
              workspace,
              { filter, window },
              this.object.clock(),
            )
          : undefined;
      const query = { filter, window, limit: BACKFILL_PAGE, mostCharacters: BACKFILL_CHARACTERS, known, ...pass };
      const isAll = await this.turns.take(async () => {
        // The socket may have closed before its turn.
        if (socket.readyState !== WebSocket.READY_STATE_OPEN) return false;
        return this.showPage(socket, await reader.page(query), { progress, pass, seen });
      });
      if (!isAll) return;
    }
    progress.isLive = true;
    for (const { event, json } of progress.waiting.splice(0)) if (!seen.has(event.id)) sendEvent(socket, json);
  }

  /** Shows a page of stored events and records its end. False if the listener is to be shown nothing more. */
  private showPage(
    socket: WebSocket,
    { found, next }: EventsPage,
    { progress, pass, seen }: { progress: Progress; pass: Pass; seen: Set<string> },
  ): boolean {
    for (const { event, occurred } of found) {
      if (seen.has(event.id)) continue;
      const text = `{"type":"event","event":${JSON.stringify(event)}}`;
      if (!this.mayShow(socket, Buffer.byteLength(text))) return false;
      seen.add(event.id);
      sendQuietly(socket, text);
      progress.newest = Math.max(progress.newest ?? occurred, occurred);
      pass.after = { occurred, id: event.id };
    }
    if (next) pass.after = next;
    else progress.passes.shift();
    return true;
  }

  /** Shows each listener the events that match its filter. */
  showEvents(events: readonly GatheredEvent[]): void {
    const sizes = new Map<GatheredEvent, number>();
    for (const socket of this.open("events-out")) {
      const wanted = this.wantedBy(socket);
      if (wanted?.channel !== "events-out") continue;
      const { filter, window } = wanted;
      const progress = this.progress.get(socket) ?? this.begin(socket, []);
      for (const event of events) {
        const { occurred } = event;
        if (occurred < window.since || occurred > window.until || !matchesEvent(filter, event.event)) continue;
        const size = sizes.get(event) ?? Buffer.byteLength(event.json);
        sizes.set(event, size);
        if (!this.mayShow(socket, size)) break;
        progress.newest = Math.max(progress.newest ?? occurred, occurred);
        if (progress.isLive) sendEvent(socket, event.json);
        else progress.waiting.push(event);
      }
    }
    this.shownUntil = this.object.clock();
  }

  private begin(socket: WebSocket, passes: Pass[]): Progress {
    const isLive = passes.length === 0;
    const progress: Progress = { passes, liveSince: this.shownUntil, isLive, newest: null, waiting: [] };
    this.progress.set(socket, progress);
    return progress;
  }

  /** Shows each listener the logs that match its filter. */
  showLogs(logs: readonly Log[]): void {
    for (const socket of this.open("logs-out")) {
      const wanted = this.wantedBy(socket);
      if (wanted?.channel !== "logs-out") continue;
      for (const log of logs) {
        if (!matchesLog(wanted.filter, log)) continue;
        const text = JSON.stringify({ type: "log", log });
        if (!this.mayShow(socket, Buffer.byteLength(text))) break;
        sendQuietly(socket, text);
      }
    }
  }

  /** Counts a text for a listener. If there is no room for the text, the socket is closed, and its client may connect again. */
  private mayShow(socket: WebSocket, bytes: number): boolean {
    const nowMs = this.object.clock() / 1000;
    if (this.backlog.isStuck(nowMs)) this.object.letGo("listeners that do not read hold the room of the others");
    if (!this.backlog.add(socket, bytes)) {
      this.cut(socket, nowMs);
      return false;
    }
    const fullest = this.backlog.toClose();
    if (fullest && fullest !== socket) this.cut(fullest, nowMs);
    const sent = this.backlog.sentTo(socket);
    const isStep = Math.floor(sent / SENT_STEP) > Math.floor((sent - bytes) / SENT_STEP);
    if (isStep) keep(socket, { ...stateOf(socket), sent });
    return true;
  }

  private cut(socket: WebSocket, nowMs: number): void {
    if (!this.backlog.close(socket, nowMs)) return;
    const progress = this.progress.get(socket);
    if (progress) {
      progress.waiting = [];
      // The listener may have been shown only a part of the events that were written last.
      if (progress.isLive) progress.liveSince = this.shownUntil;
    }
    closeQuietly(socket, TRY_AGAIN, READ_TOO_LITTLE);
  }

  /** Forgets a socket that has ended. `isConfirmed`: the client has read everything that it was sent. */
  left(socket: WebSocket, isConfirmed: boolean): void {
    this.object.greetings.end(socket);
    const progress = this.progress.get(socket);
    const wanted = this.wanted.get(socket);
    if (isConfirmed && this.backlog.isClosed(socket) && progress && wanted?.channel === "events-out")
      if (progress.newest !== null) this.resumes.keep(wanted.filter, progress.newest, remaining(progress));
    this.backlog.drop(socket);
    this.progress.delete(socket);
  }

  private open(channel: Channel): WebSocket[] {
    return this.object.state
      .getWebSockets(channel)
      .filter(({ readyState }) => readyState === WebSocket.READY_STATE_OPEN);
  }

  private wantedBy(socket: WebSocket): ListenerFilter | undefined {
    const known = this.wanted.get(socket);
    if (known) return known;
    const { channel, filter } = stateOf(socket);
    if (filter === null) return undefined;
    const wanted = readListenerFilter(channel, parseMessage(filter), this.object.clock());
    if ("wrong" in wanted) return undefined;
    this.wanted.set(socket, wanted);
    return wanted;
  }
}

/**
 * What has not been shown: the rest of the passes, and the events written after the passes began. If the last pass has
 * not begun, it includes those events.
 */
function remaining({ passes, liveSince }: Progress): Pass[] {
  return passes.at(-1)?.after === null ? passes : [...passes, { writtenSince: liveSince, after: null }];
}

function stageAfterAuth(channel: Channel): SocketState["stage"] {
  return channel === "events-in" ? "open" : "filter";
}

function sendEvent(socket: WebSocket, json: string): void {
  sendQuietly(socket, `{"type":"event","event":${json}}`);
}
