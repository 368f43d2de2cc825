/** The archived logs of some runs: the parts that D1's addresses lead to. */
import type { Entry } from "#archive/bundle";
import { ArchiveUnreachable } from "#archive/bucket";
import { type Archive, freeParts } from "#archive/store";
import { chunks, chunksBySize } from "#lib/chunks";
import { log } from "#lib/log";
import { Work } from "#lib/work";
import { addressOf, type BundleRow } from "#resources/logs/archived-bundles";
import { headerOf, openPart, type PartHeader } from "#resources/logs/archived-parts";
import { type Opened, toRecord } from "#resources/logs/records";

/** A part in the archive. */
export interface ArchivedPart {
  bundle: BundleRow;
  entry: Entry;
  header: PartHeader;
}

/** Logs have moved, or were removed, since their addresses were read. The reader begins again. */
export class Moved extends Error {
  constructor() {
    super("logs have moved between D1 and the archive");
  }
}

/** How many bundles one answer looks at, and how many parts it knows. Nearly every run is in one bundle, with one part. */
export const MAX_BUNDLES = 100;
export const MAX_PARTS = 5_000;
/** How many indexes are read at once: Cloudflare allows six open connections. */
const MAX_AT_ONCE = 6;
/** How many bytes of packed parts are read at once, unless one part has more. */
const MAX_READ_BYTES = 500_000;
/** How many times a reader begins again. Each time the logs have moved, or an object was missing for the first time. */
const MAX_TRIES = 20;

/** Repeats a read as long as logs move meanwhile. */
export async function whileMoving<T>(read: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await read();
    } catch (error) {
      if (!(error instanceof Moved)) throw error;
      if (tries >= MAX_TRIES) throw new ArchiveUnreachable(error);
    }
  }
}

export class ArchivedLogs {
  /** The parts of the wanted runs. */
  parts: readonly ArchivedPart[] = [];
  /** The bundle that was not looked at, because there are too many; null if there is none. */
  firstUnread: BundleRow | null = null;
  private readonly archive: Archive;
  private known = "[]";
  private readonly missing = new Set<string>();

  constructor(archive: Archive) {
    this.archive = archive;
  }

  /** Takes the bundles that D1 names now, in the order of the page. Returns whether they are others than before. */
  async learn(bundles: readonly BundleRow[]): Promise<boolean> {
    const named = JSON.stringify(bundles.map(({ id, wanted }) => [id, wanted]));
    if (named === this.known) return false;
    const parts: ArchivedPart[] = [];
    let looked = 0;
    for (const some of chunks(bundles.slice(0, MAX_BUNDLES), MAX_AT_ONCE)) {
      if (parts.length >= MAX_PARTS) break;
      for (const ofBundle of await Promise.all(some.map((bundle) => this.partsOf(bundle)))) parts.push(...ofBundle);
      looked += some.length;
    }
    this.parts = parts;
    this.firstUnread = bundles[looked] ?? null;
    this.known = named;
    return true;
  }

  /** Opens parts in their order, a bounded number of bytes at a time. Throws `Moved` if an object is missing for the first time. */
  async *open<C extends { part: ArchivedPart }>(
    candidates: readonly C[],
    isEnough: (next: C) => boolean = () => false,
  ): AsyncGenerator<Opened & { segment: { part: ArchivedPart } }, undefined> {
    const work = new Work();
    for (const group of groupsOf(candidates)) {
      const [first] = group;
      if (!first || isEnough(first)) return;
      let place = 0;
      const entries = group.map(({ part }) => part.entry);
      for (const portion of this.archive.readParts(addressOf(first.part.bundle), entries)) {
        const parts = await portion();
        for (const { content } of parts) {
          const candidate = group[place++];
          if (!candidate || isEnough(candidate)) return;
          if (content === "missing") this.miss(candidate.part.bundle);
          if (typeof content === "string") continue;
          const { segments, characters } = openPart(content);
          const { run_id } = candidate.part.header;
          for (const { first_timestamp, digest, records } of segments) {
            const segment = { run_id, first_timestamp, digest, bytes: 0, part: candidate.part };
            yield { segment, records: Array.isArray(records) ? records.map(toRecord) : null };
          }
          await work.add(characters);
        }
        freeParts(parts);
      }
    }
  }

  private async partsOf(bundle: BundleRow): Promise<ArchivedPart[]> {
    const entries = await this.archive.readIndex(addressOf(bundle));
    if (entries === "missing") this.miss(bundle);
    if (typeof entries === "string") return [];
    const wanted = new Set(JSON.parse(bundle.wanted) as string[]);
    return entries.flatMap((entry) => {
      const header = headerOf(entry);
      return wanted.has(header.run_id) ? { bundle, entry, header } : [];
    });
  }

  private miss({ key }: BundleRow): void {
    if (this.missing.has(key)) {
      log({}, "error", "an object of the archive is missing, although D1 has its address", { key });
      return;
    }
    this.missing.add(key);
    throw new Moved();
  }
}

/** The candidates in groups, each of one bundle and for one read. */
function groupsOf<C extends { part: ArchivedPart }>(candidates: readonly C[]): C[][] {
  const groups: C[][] = [];
  for (const candidate of candidates) {
    const last = groups.at(-1);
    if (last?.[0]?.part.bundle === candidate.part.bundle) last.push(candidate);
    else groups.push([candidate]);
  }
  return groups.flatMap((group) => chunksBySize(group, MAX_READ_BYTES, ({ part }) => part.entry.length));
}
