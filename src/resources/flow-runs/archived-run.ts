/** Reads runs that are in the archive. */
import { sql } from "drizzle-orm";
import type { BundleAddress } from "#archive/bundle";
import { ArchiveUnreachable } from "#archive/bucket";
import type { Archive, Fault } from "#archive/store";
import { shortId, shortWorkspace } from "#db/short/ids";
import { each } from "#db/sql";
import { archived_run, run_archive } from "#db/tables/run-archive";
import { chunks } from "#lib/chunks";
import type { Micros } from "#lib/clock";
import { log } from "#lib/log";
import { type MovingRow, openPart, rowsAsRead, runOf, type RunRows } from "#resources/flow-runs/archived-parts";
import type { Tools } from "#tools";

/** A run in the archive, with all its rows but its logs. */
export interface ArchivedRun {
  readonly id: string;
  readonly start: Micros;
  readonly rows: RunRows;
}

/** Where an archived run is. */
export interface RunAddress extends BundleAddress {
  id: string;
  start: Micros;
  first_end: Micros;
  bundle: string;
}

type ReadTools = Pick<Tools, "db" | "workspaceId" | "archive">;

/** How many bundles are read at once: Cloudflare allows six open connections. */
const MAX_AT_ONCE = 6;
/** How many times a reader looks at D1 again, because an object was missing for the first time. */
const MAX_TRIES = 20;

/**
 * The runs with these ids that are in the archive, in the order of the ids. A run that cannot be read whole is left out, and logged. The
 * caller asks for as many runs as it can have in memory: a run has up to `MAX_RUN_BYTES`. Throws 503 if the archive cannot be reached.
 */
export async function findArchivedRuns(tools: ReadTools, ids: readonly string[]): Promise<ArchivedRun[]> {
  const found = await findMoved(tools, ids);
  return found.map(({ address: { id, start }, rows }) => ({ id, start, rows: rowsAsRead(rows) }));
}

/** The start of an archived run: one round trip to D1. Null if the run is not in the archive. */
export async function archivedStart(tools: ReadTools, runId: string): Promise<Micros | null> {
  return (await readAddresses(tools, [runId]))[0]?.start ?? null;
}

/** An archived run with its rows as they moved. */
export interface Moved {
  address: RunAddress;
  rows: MovingRow[];
}

/** The same as `findArchivedRuns`, with the rows as they are restored. */
export async function findMoved(tools: ReadTools, ids: readonly string[]): Promise<Moved[]> {
  const { archive } = tools;
  if (archive === null) return [];
  const missing = new Set<string>();
  for (let tries = 1; ; tries++) {
    const addresses = await readAddresses(tools, ids);
    const { found, gone } = await readBundles(archive, addresses);
    const isNew = gone.some((key) => !missing.has(key));
    // The runs may have been restored or removed since their addresses were read.
    if (!isNew) {
      if (gone.length > 0)
        log({}, "error", "objects of the archive are missing, although D1 has their addresses", { gone });
      return found;
    }
    for (const key of gone) missing.add(key);
    if (tries >= MAX_TRIES) throw new ArchiveUnreachable(new Error("runs move between D1 and the archive"));
  }
}

/** Where the runs are that are in the archive, in the order of the ids. */
export async function readAddresses(
  { db, workspaceId }: Pick<ReadTools, "db" | "workspaceId">,
  ids: readonly string[],
): Promise<RunAddress[]> {
  if (ids.length === 0) return [];
  return db.rows<RunAddress>(sql`
    select a.id, a.start, a.first_end, a.bundle, b.key, b.bytes, b.index_at, b.index_digest
    from ${each(ids)} k
    cross join ${archived_run} a on a.workspace_id = ${shortWorkspace(workspaceId)} and a.id = ${shortId(sql`k.value`)}
    cross join ${run_archive} b on b.workspace_id = ${workspaceId} and b.first_end = a.first_end and b.id = a.bundle
    order by k.key`);
}

/** Reads runs from their bundles. `gone` has the keys of the objects that are missing. */
async function readBundles(archive: Archive, addresses: readonly RunAddress[]) {
  const rows = new Map<string, MovingRow[]>();
  const gone: string[] = [];
  const bundles = [...Map.groupBy(addresses, ({ key }) => key).values()];
  for (const some of chunks(bundles, MAX_AT_ONCE)) {
    await Promise.all(
      some.map(async (own) => {
        const read = await readBundle(archive, own);
        if (read === "missing") gone.push(own[0]?.key ?? "");
        else if (read !== "damaged") for (const [id, ofRun] of read) rows.set(id, ofRun);
      }),
    );
  }
  const found = addresses.flatMap((address): Moved[] => {
    const own = rows.get(address.id);
    return own ? [{ address, rows: own }] : [];
  });
  return { found, gone };
}

/** The rows of runs that have the same bundle, without the runs that cannot be read whole. */
async function readBundle(
  archive: Archive,
  runs: readonly RunAddress[],
): Promise<ReadonlyMap<string, MovingRow[]> | Fault> {
  const [address] = runs;
  const rows = new Map<string, MovingRow[]>();
  if (!address) return rows;
  const entries = await archive.readIndex(address);
  if (typeof entries === "string") return entries;
  const wanted = new Set(runs.map(({ id }) => id));
  const broken = new Set<string>();
  const own = entries.filter((entry) => wanted.has(runOf(entry)));
  for (const portion of archive.readParts(address, own)) {
    for (const part of await portion()) {
      const { content } = part;
      if (content === "missing") return "missing";
      const id = runOf(part);
      const opened = content === "damaged" ? null : tryToOpen(id, content);
      if (opened) rows.set(id, [...(rows.get(id) ?? []), ...opened]);
      else broken.add(id);
    }
  }
  for (const id of broken) rows.delete(id);
  return rows;
}

function tryToOpen(flow_run_id: string, content: Uint8Array): MovingRow[] | null {
  try {
    return openPart(content);
  } catch (error) {
    log({}, "error", "an archived run cannot be read", { flow_run_id, error });
    return null;
  }
}
