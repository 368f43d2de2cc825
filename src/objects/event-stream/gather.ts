/** Gathers events for a moment and has them written together, each once. */
import type { GatheredEvent } from "#events/segments";

interface Batch {
  events: GatheredEvent[];
  characters: number;
  written: Promise<void>;
  settle: (error: unknown) => void;
}

/** Writes events; rejects where it is not sure that all are written. */
type Write = (events: readonly GatheredEvent[]) => Promise<void>;
/** The ids of events that were written of late, by an object that forgot since. */
type Recall = () => Promise<readonly string[]>;

/** How long events wait for company. */
const GATHER_MS = 100;
/** How much is written at once. */
const MAX_BATCH_CHARACTERS = 4_000_000;
/** How much may wait in memory; an object has 128 MB. */
const MAX_WAITING_CHARACTERS = 32_000_000;
/** How many ids are remembered at least; twice as many at most. */
const MIN_REMEMBERED = 50_000;

/** Events on their way to the database. One write at a time, in the order of arrival; what comes meanwhile goes together. */
export class EventGatherer {
  private readonly write: Write;
  private readonly recall: Recall;
  private recalled: Promise<void> | undefined;
  private readonly full: Batch[] = [];
  private open: Batch | undefined;
  private isDue = false;
  private isWriting = false;
  private waitingCharacters = 0;
  private readonly waiting = new Map<string, Promise<void>>();
  private written = new Set<string>();
  private writtenBefore = new Set<string>();

  constructor(write: Write, recall: Recall) {
    this.write = write;
    this.recall = recall;
  }

  /** Takes events; resolves when they are written, rejects when some could not be. An id that came before is not written again. */
  async add(events: readonly GatheredEvent[]): Promise<void> {
    if (this.waitingCharacters > MAX_WAITING_CHARACTERS) throw new Error("too many events are waiting to be written");
    const writes = new Set<Promise<void>>();
    for (const event of events) {
      const { id } = event.event;
      if (this.isWritten(id)) continue;
      const waiting = this.waiting.get(id) ?? this.put(event);
      writes.add(waiting);
    }
    await Promise.all(writes);
  }

  /** Whether so much waits that whoever can should let it be written before more comes. */
  isFull(): boolean {
    return this.waitingCharacters > MAX_BATCH_CHARACTERS;
  }

  /** Writes what has gathered, without waiting for more. */
  flush(): void {
    if (!this.open) return;
    this.isDue = true;
    void this.pump();
  }

  /** Writes everything that waits; resolves when that is done, well or not. */
  async settle(): Promise<void> {
    this.flush();
    await Promise.allSettled(new Set(this.waiting.values()));
  }

  private put(event: GatheredEvent): Promise<void> {
    if (this.open && this.open.characters + event.json.length > MAX_BATCH_CHARACTERS) {
      this.full.push(this.open);
      this.open = undefined;
      void this.pump();
    }
    this.open ??= this.begin();
    this.open.events.push(event);
    this.open.characters += event.json.length;
    this.waitingCharacters += event.json.length;
    this.waiting.set(event.event.id, this.open.written);
    return this.open.written;
  }

  private begin(): Batch {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    // Whoever gave the events hears of a failure; a batch that nobody waits for must not end the object.
    promise.catch(() => {});
    this.isDue = false;
    setTimeout(() => this.flush(), GATHER_MS);
    return { events: [], characters: 0, written: promise, settle: (error) => (error ? reject(error) : resolve()) };
  }

  private async pump(): Promise<void> {
    if (this.isWriting) return;
    this.isWriting = true;
    for (let batch = this.next(); batch; batch = this.next()) await this.writeBatch(batch);
    this.isWriting = false;
  }

  private next(): Batch | undefined {
    const full = this.full.shift();
    if (full || !this.isDue) return full;
    const open = this.open;
    this.open = undefined;
    return open;
  }

  private async writeBatch(batch: Batch): Promise<void> {
    let failure: unknown = null;
    try {
      await this.recollect();
      const fresh = batch.events.filter(({ event }) => !this.isWritten(event.id));
      if (fresh.length > 0) await this.write(fresh);
      for (const { event } of batch.events) this.remember(event.id);
    } catch (error) {
      failure = error ?? new Error("the write failed");
    }
    for (const { event } of batch.events) this.waiting.delete(event.id);
    this.waitingCharacters -= batch.characters;
    batch.settle(failure);
  }

  /** Once in the object's life; where it fails the batch fails, and the next one tries again. */
  private async recollect(): Promise<void> {
    this.recalled ??= this.recall().then((ids) => ids.forEach((id) => this.remember(id)));
    try {
      await this.recalled;
    } catch (error) {
      this.recalled = undefined;
      throw error;
    }
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
