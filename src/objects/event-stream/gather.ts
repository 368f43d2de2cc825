/** Gathers events for a short time and writes them together, each event once. */
import { isOutage } from "#events/dead-letters";
import { EventsSetAside } from "#events/emit";
import type { GatheredEvent } from "#events/segments";
import { inHalves } from "#lib/halving";

/** Events that are written together. The promise resolves to the ids of the events that cannot be written. */
interface Batch extends PromiseWithResolvers<ReadonlySet<string>> {
  events: GatheredEvent[];
  characters: number;
}

/** What the object does for its gatherer. */
interface GathererHost {
  /** Writes all events, or none. Rejects if it is not certain that all events are written. */
  write(events: readonly GatheredEvent[]): Promise<void>;
  /** The ids of events that were written recently. An evicted object no longer has them in memory. */
  recall(): Promise<readonly string[]>;
  /** Sets aside an event that cannot be written. Rejects if that fails, too. */
  setAside(event: GatheredEvent, error: unknown): Promise<void>;
}

/** How long an event waits for other events to be written with it. */
const GATHER_MS = 100;
/** How long after a write the next write begins if a reader asks for events that wait. */
const HURRIED_MS = 25;
/** How many characters one write has at most. */
const MAX_BATCH_CHARACTERS = 4_000_000;
/** How many characters may wait in memory; an object has 128 MB. */
const MAX_WAITING_CHARACTERS = 32_000_000;
/** How many ids are remembered at least. At most, twice as many are remembered. */
const MIN_REMEMBERED = 50_000;
/** How many ids of events that were set aside are remembered. */
const MAX_ASIDE = 1_000;

/** Events that wait to be written. Writes run one at a time, in the order of arrival. Events that arrive during a write are written together. */
export class EventGatherer {
  private readonly host: GathererHost;
  private recalled: Promise<void> | undefined;
  private readonly full: Batch[] = [];
  private open: Batch | undefined;
  private writing: Batch | undefined;
  private wroteAtMs = 0;
  private isDue = false;
  private waitingCharacters = 0;
  private readonly waiting = new Map<string, Batch["promise"]>();
  private readonly aside = new Set<string>();
  private written = new Set<string>();
  private writtenBefore = new Set<string>();

  constructor(host: GathererHost) {
    this.host = host;
  }

  /**
   * Takes events. Resolves when they are written, rejects if some could not be written. An id that was taken before is not written
   * again. Rejects with `EventsSetAside` if all events are written except those that can never be written. Such an event is remembered,
   * so that a sender that repeats the event is not refused forever; `again` means that the event is to be tried again.
   */
  async add(events: readonly GatheredEvent[], again = false): Promise<void> {
    if (this.waitingCharacters > MAX_WAITING_CHARACTERS) throw new Error("too many events are waiting to be written");
    const ids: string[] = [];
    const writes = new Set<Batch["promise"]>();
    for (const event of events) {
      const { id } = event.event;
      if (again) this.aside.delete(id);
      if (this.isWritten(id) || this.aside.has(id)) continue;
      writes.add(this.waiting.get(id) ?? this.put(event));
      ids.push(id);
    }
    const setAside = new Set((await Promise.all(writes)).flatMap((each) => [...each]));
    const ownSetAside = ids.filter((id) => setAside.has(id));
    if (ownSetAside.length > 0) throw new EventsSetAside(ownSetAside);
  }

  /** Whether so much waits that a sender should wait for a write before it sends more. */
  isFull(): boolean {
    return this.waitingCharacters > MAX_BATCH_CHARACTERS;
  }

  /** Starts the write of the gathered events, without waiting for more events. */
  flush(): void {
    if (!this.open) return;
    this.isDue = true;
    void this.pump();
  }

  /** Writes the gathered events as soon as the last write began a gathering time ago, so that many closing sockets cause no more writes. */
  flushSoon(): void {
    if (this.open) this.flushAfter(Math.max(0, this.wroteAtMs + GATHER_MS - Date.now()), this.open);
  }

  /** Writes everything that waits. Resolves when the writes end, with success or failure. */
  async settle(): Promise<void> {
    this.flush();
    await Promise.allSettled(new Set(this.waiting.values()));
  }

  /**
   * Writes the matching events soon, if any wait. Resolves when the write ends, with success or failure. Returns
   * whether any matching event waited.
   */
  async settleSome(isMeant: (event: GatheredEvent) => boolean): Promise<boolean> {
    const present = [this.writing, ...this.full, this.open].flatMap((batch) => batch ?? []);
    const batches = present.filter((batch) => batch.events.some(isMeant));
    for (const batch of batches)
      if (batch === this.open) this.flushAfter(this.wroteAtMs + HURRIED_MS - Date.now(), batch);
    await Promise.allSettled(batches.map(({ promise }) => promise));
    return batches.length > 0;
  }

  private flushAfter(delayMs: number, batch: Batch): void {
    setTimeout(() => {
      if (this.open === batch) this.flush();
    }, delayMs);
  }

  private put(event: GatheredEvent): Batch["promise"] {
    if (this.open && this.open.characters + event.json.length > MAX_BATCH_CHARACTERS) {
      this.full.push(this.open);
      this.open = undefined;
      void this.pump();
    }
    this.open ??= this.begin();
    this.open.events.push(event);
    this.open.characters += event.json.length;
    this.waitingCharacters += event.json.length;
    this.waiting.set(event.event.id, this.open.promise);
    return this.open.promise;
  }

  private begin(): Batch {
    const batch: Batch = { ...Promise.withResolvers<ReadonlySet<string>>(), events: [], characters: 0 };
    // The sender of the events gets the failure. A rejected batch without a waiting sender must not end the object.
    batch.promise.catch(() => {});
    this.isDue = false;
    this.flushAfter(GATHER_MS, batch);
    return batch;
  }

  private async pump(): Promise<void> {
    if (this.writing) return;
    for (this.writing = this.next(); this.writing; this.writing = this.next()) await this.writeBatch(this.writing);
  }

  private next(): Batch | undefined {
    const full = this.full.shift();
    if (full || !this.isDue) return full;
    const open = this.open;
    this.open = undefined;
    return open;
  }

  private async writeBatch(batch: Batch): Promise<void> {
    this.wroteAtMs = Date.now();
    const setAside = new Set<string>();
    try {
      await this.recollect();
      const fresh = batch.events.filter(({ event }) => !this.isWritten(event.id));
      await inHalves(
        fresh,
        (events) => this.writeSome(events),
        async (event, error) => {
          await this.host.setAside(event, error);
          setAside.add(event.event.id);
          this.rememberAside(event.event.id);
        },
        { isPassing: isOutage },
      );
      batch.resolve(setAside);
    } catch (error) {
      batch.reject(error);
    }
    for (const { event } of batch.events) this.waiting.delete(event.id);
    this.waitingCharacters -= batch.characters;
  }

  /** The ids of written events stay remembered, even if the rest of the batch fails. */
  private async writeSome(events: readonly GatheredEvent[]): Promise<void> {
    await this.host.write(events);
    for (const { event } of events) this.remember(event.id);
  }

  private rememberAside(id: string): void {
    this.aside.add(id);
    const [oldest] = this.aside;
    if (this.aside.size > MAX_ASIDE && oldest !== undefined) this.aside.delete(oldest);
  }

  /** Reads the written ids once in the object's life. If the read fails, the batch fails and the next batch reads again. */
  private recollect(): Promise<void> {
    this.recalled ??= this.host.recall().then(
      (ids) => ids.forEach((id) => this.remember(id)),
      (error: unknown) => {
        this.recalled = undefined;
        throw error;
      },
    );
    return this.recalled;
  }

  private isWritten(id: string): boolean {
    return this.written.has(id) || this.writtenBefore.has(id);
  }

  private remember(id: string): void {
    this.written.add(id);
    if (this.written.size < MIN_REMEMBERED) return;
    this.writtenBefore = this.written;
    this.written = new Set();
  }
}
