/**
 * How many bytes each listener was sent, and where a listener goes on that was closed because it was sent too many. The runtime
 * keeps in memory what a client does not read, also after the socket was closed, and tells nobody how much that is. A client
 * confirms the end of its socket after it has read all that it was sent: nothing else shows that it was read.
 */
import type { EventFilter } from "#events/filter";
import type { Cursor } from "#events/page";
import type { Micros } from "#lib/clock";

/** How many bytes may be sent to one socket; then it is closed, and its client connects again. */
export const MAX_BACKLOG = 4_000_000;
/** How many bytes may be sent to all sockets; an object has 128 MB. */
export const MAX_BACKLOG_IN_ALL = 32_000_000;
/** Above this total the sockets that were sent the most are closed, before there is no room left. */
const HIGH_WATER = 24_000_000;
/** A client that has not confirmed the end of its socket for so long does not read. */
const CONFIRM_MS = 30_000;

interface Entry {
  bytes: number;
  /** When the socket was closed. */
  closedAt: number | null;
}

/** How much the listeners of one object were sent. */
export class Backlog {
  private readonly entries = new Map<WebSocket, Entry>();
  private total = 0;

  /** Counts a text that is to be sent; false where there is no room for it, and it must not be sent. */
  add(socket: WebSocket, bytes: number): boolean {
    const entry = this.entryOf(socket);
    if (entry.closedAt !== null) return false;
    // Whatever its size, the first text of a socket has room.
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
   * Notes that a socket is closed by us: nothing more is sent, and what was sent counts until its client confirms the end.
   * False where it was closed before.
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

  /** The open socket that was sent the most, where so much was sent that a socket must be closed; else undefined. */
  toClose(): WebSocket | undefined {
    if (this.total <= HIGH_WATER) return undefined;
    const open = [...this.entries].filter(([, { closedAt }]) => closedAt === null);
    // Closed sockets give their room back when their clients confirm the end.
    if (open.reduce((sum, [, { bytes }]) => sum + bytes, 0) <= HIGH_WATER / 2) return undefined;
    return open.toSorted(([, a], [, b]) => b.bytes - a.bytes)[0]?.[0];
  }

  /** Whether sockets that were closed long ago, and not confirmed by their clients, leave the other sockets too little room. */
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

/** Stored events that a listener has still to be shown: those written from a time on, after a cursor. */
export interface Pass {
  writtenSince: Micros | null;
  after: Cursor | null;
}

/** Prefect: `PrefectEventSubscriber.__anext__` goes back as far from each event. */
const REPLAYED: Micros = 60_000_000;
/** How many listeners are remembered. */
const MAX_KEPT = 200;

/**
 * The places where closed listeners go on. The stock client connects again with the same filter, and asks for the events from a
 * minute before the newest event that it was shown. From that time, to the microsecond, the object knows that the client read all
 * that it was shown. So the client is shown the rest, and not that minute again, which may have more than one socket is ever sent.
 * In memory only: a listener that is not known is shown the minute again.
 */
export class Resumes {
  private readonly kept = new Map<string, readonly Pass[]>();

  /** Keeps what is left for a listener that was shown events up to `newest`. */
  keep(filter: EventFilter, newest: Micros, passes: readonly Pass[]): void {
    const since = Math.max(filter.occurred?.since ?? newest - REPLAYED, newest - REPLAYED);
    this.kept.set(keyOf(filter, since), passes);
    const [oldest] = this.kept.keys();
    if (this.kept.size > MAX_KEPT && oldest !== undefined) this.kept.delete(oldest);
  }

  /** What is left for the listener that comes with this filter; undefined where it is none of those that were closed. */
  find(filter: EventFilter): readonly Pass[] | undefined {
    const since = filter.occurred?.since;
    return since === undefined ? undefined : this.kept.get(keyOf(filter, since));
  }
}

function keyOf(filter: EventFilter, since: Micros): string {
  return JSON.stringify({ ...filter, occurred: since });
}
