/** The rows of `event_archive`: which bundles of the archive have the events of an hour. */
import { type SQL, sql } from "drizzle-orm";
import type { BundleAddress, Entry } from "#archive/bundle";
import { type Archive, freeParts } from "#archive/store";
import { event_archive } from "#db/tables/event";
import { headerOf } from "#events/archived-parts";
import type { ClosedSegment } from "#events/read-segment";
import type { Micros } from "#lib/clock";
import { log } from "#lib/log";

/** A bundle, as D1 knows it. */
export interface BundleRow {
  hour: Micros;
  id: string;
  first_occurred: Micros;
  last_occurred: Micros;
  key: string;
  /** The size of the object. */
  object_bytes: number;
  index_at: number;
  index_digest: string;
}

/** The columns of a `BundleRow` in the rows `a`. */
export const BUNDLE = sql.raw(
  "a.hour, a.id, a.first_occurred, a.last_occurred, a.key, a.bytes as object_bytes, a.index_at, a.index_digest",
);

/** The bundles `a` of an hour. */
export function selectBundlesOf(workspaceId: string, hour: Micros): SQL {
  return sql`select ${BUNDLE} from ${event_archive} a where a.workspace_id = ${workspaceId} and a.hour = ${hour}
    order by a.id`;
}

/** The address of a bundle's object. */
export function addressOf({ key, object_bytes: bytes, index_at, index_digest }: BundleRow): BundleAddress {
  return { key, bytes, index_at, index_digest };
}

/** The events have moved, or were removed, since their headers were read. The reader reads the headers of the hour again. */
export class Moved extends Error {
  constructor() {
    super("events have moved between D1 and the archive");
  }
}

/** Reads bundles, and remembers which objects were missing. */
export class BundleReader {
  private readonly archive: Archive;
  private readonly missing = new Set<string>();

  constructor(archive: Archive) {
    this.archive = archive;
  }

  /** The parts of a bundle. Throws `Moved` if its object is missing for the first time: its row may be gone, too. */
  async entriesOf(bundle: BundleRow): Promise<readonly Entry[]> {
    const entries = await this.archive.readIndex(addressOf(bundle));
    if (entries === "missing") this.miss(bundle);
    return typeof entries === "string" ? [] : entries;
  }

  /** Reads parts of a bundle, and returns them one after the other. The bytes of a part are there only until the next part is asked for. Throws `Moved` like `entriesOf`. */
  async *partsOf(bundle: BundleRow, entries: readonly Entry[]): AsyncGenerator<ClosedSegment> {
    for (const portion of this.archive.readParts(addressOf(bundle), entries)) {
      const parts = await portion();
      for (const { header, content } of parts) {
        if (content === "missing") this.miss(bundle);
        if (typeof content === "string") continue;
        const { event_count, bytes } = headerOf({ header });
        yield { id: bundle.key, event_count, bytes, events: content };
      }
      freeParts(parts);
    }
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
