/**
 * Counts the bytes that each listener was sent. Also stores where a listener continues after it was closed because it was sent too much.
 * The runtime keeps in memory the bytes that a client has not read, even after the socket was closed, and does not report how many there
 * are. A client confirms the close of its socket after it has read everything; nothing else shows that the client has read the bytes.
 */
import type { EventFilter } from "#events/filter";
import type { Cursor } from "#events/page";
import type { Micros } from "#lib/clock";

/** How many bytes may be sent to one socket. Then the socket is closed, and its client connects again. */
export const MAX_BACKLOG = 4_000_000;
/** How many bytes may be sent to all sockets; an object has 128 MB. */
export const MAX_BACKLOG_IN_ALL = 32_000_000;
/** Above this total the sockets that were sent the most are closed, before no room is left. */
const HIGH_WATER = 24_000_000;
/** A client that has not confirmed the close of its socket after this time does not read. */
const CONFIRM_MS = 30_000;

interface Entry {
  bytes: number;
  /** When the socket was closed. */
  closedAt: number | null;
}

/** How many bytes the listeners of one object were sent. */
export class Backlog {
  private readonly entries = new Map<WebSocket, Entry>();
  private total = 0;

  /** Counts a text that is about to be sent. False if there is no room for the text, which then must not be sent. */
  add(socket: WebSocket, bytes: number): boolean {
    const entry = this.entryOf(socket);
    if (entry.closedAt !== null) return false;
    // The first text of a socket always has room, whatever its size.
    if (entry.bytes > 0 && entry.bytes + bytes > MAX_BACKLOG) return false;
    if (this.total + bytes > MAX_BACKLOG_IN_ALL) return false;
    entry.bytes += bytes;
    this.total += bytes;
    return true;
  }

  /** How many bytes a socket was sent. */
  sentTo(socket: WebSocket): number {
    return this.entries.get(socket)?.bytes ?? 0;
  }

  /**
   * Records that we close a socket. Nothing more is sent, and the bytes that were sent count until the client confirms
   * the close. False if the socket was closed before.
   */
  close(socket: WebSocket, nowMs: number): boolean {
    const entry = this.entryOf(socket);
    if (entry.closedAt !== null) return false;
    entry.closedAt = nowMs;
    return true;
  }

  /** Whether `close` was called for the socket. */
  isClosed(socket: WebSocket): boolean {
    return (this.entries.get(socket)?.closedAt ?? null) !== null;
  }

  /** Forgets a socket that has ended. */
  drop(socket: WebSocket): void {
    this.total -= this.entries.get(socket)?.bytes ?? 0;
    this.entries.delete(socket);
  }

  /** The open socket that was sent the most, if the total requires that a socket is closed; else undefined. */
  toClose(): WebSocket | undefined {
    if (this.total <= HIGH_WATER) return undefined;
    const open = [...this.entries].filter(([, { closedAt }]) => closedAt === null);
    // Closed sockets free their room when their clients confirm the close.
    if (open.reduce((sum, [, { bytes }]) => sum + bytes, 0) <= HIGH_WATER / 2) return undefined;
    return open.toSorted(([, a], [, b]) => b.bytes - a.bytes)[0]?.[0];
  }

  /** Whether sockets that were closed long ago, and that their clients have not confirmed, leave the other sockets too little room. */
  isStuck(nowMs: number): boolean {
    if (this.total <= HIGH_WATER) return false;
    let stuck = 0;
    for (const { bytes, closedAt } of this.entries.values())
      if (closedAt !== null && nowMs - closedAt >= CONFIRM_MS) stuck += bytes;
    return stuck > MAX_BACKLOG_IN_ALL / 2;
  }

  private entryOf(socket: WebSocket): Entry {
    const entry = this.entries.get(socket) ?? { bytes: 0, closedAt: null };
    this.entries.set(socket, entry);
    return entry;
  }
}

/** Stored events that a listener has not been shown yet: events written from a time on, after a cursor. */
export interface Pass {
  writtenSince: Micros | null;
  after: Cursor | null;
}

/** Prefect: `PrefectEventSubscriber.__anext__` goes back this far from each event. */
const REPLAYED: Micros = 60_000_000;
/** How many listeners are remembered. */
const MAX_KEPT = 200;

/**
 * Where closed listeners continue. The stock client connects again with the same filter, and asks for the events from
 * one minute before the newest event that it was shown. That time, exact to the microsecond, tells the object that the
 * client read everything that it was shown. So the client is shown only the rest. Showing the minute again may exceed
 * the bytes that one socket may be sent. In memory only: a listener that is not known is shown the minute again.
 */
export class Resumes {
  private readonly kept = new Map<string, readonly Pass[]>();

  /** Keeps what has not been shown to a listener that was shown events up to `newest`. */
  keep(filter: EventFilter, newest: Micros, passes: readonly Pass[]): void {
    const since = Math.max(filter.occurred?.since ?? newest - REPLAYED, newest - REPLAYED);
    this.kept.set(keyOf(filter, since), passes);
    const [oldest] = this.kept.keys();
    if (this.kept.size > MAX_KEPT && oldest !== undefined) this.kept.delete(oldest);
  }

  /** What has not been shown to the listener with this filter; undefined if no closed listener had this filter. */
  find(filter: EventFilter): readonly Pass[] | undefined {
    const since = filter.occurred?.since;
    return since === undefined ? undefined : this.kept.get(keyOf(filter, since));
  }
}

function keyOf(filter: EventFilter, since: Micros): string {
  return JSON.stringify({ ...filter, occurred: since });
}
