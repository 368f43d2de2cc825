/** Finds pages of logs in D1 and in the archive. */
import type { Archive } from "#archive/store";
import type { Database } from "#db/database";
import { WorkspaceStore } from "#db/workspace-store";
import type { Micros } from "#lib/clock";
import { logMatcher } from "#filters/logs";
import { selectBundlesOf, selectEnds } from "#resources/logs/archived-bundles";
import { ArchivedLogs, type ArchivedPart, MAX_BUNDLES, Moved, whileMoving } from "#resources/logs/archived-logs";
import { type Candidate, type Candidates, LogCandidates, type LogQuery } from "#resources/logs/candidates";
import { endsIn, type FoundLog, PageOfLogs } from "#resources/logs/page-of-logs";
import { type Closed, LogSegmentReader, type Opened } from "#resources/logs/records";

/** The logs of a page. */
interface FoundPage {
  rows: FoundLog[];
  /** The time up to which the page has the archived logs, in the order of the page; null if no archived log is missing. */
  readTo: Micros | null;
}

/** A segment in D1, or in a part. */
type Place = Closed & { part?: ArchivedPart | null };

/** The pages of one workspace. */
export class LogPages extends WorkspaceStore {
  private readonly candidates = new LogCandidates(this);
  private readonly segments = new LogSegmentReader(this);
  private readonly archive: Archive | null;
  /** What is known about the archived logs of the runs of the last page. The next page is often of the same runs. */
  private readonly archived: ArchivedLogs | null;

  constructor(store: { db: Database; workspaceId: string }, archive: Archive | null) {
    super(store);
    this.archive = archive;
    this.archived = archive && new ArchivedLogs(archive);
  }

  /** Finds a page. Long records are left out. */
  async find(query: LogQuery): Promise<FoundPage> {
    const chosen = await this.candidates.of(query);
    const rows = await whileMoving(() => this.findOnce(query, chosen));
    return { rows, readTo: await this.readTo(query, chosen, rows) };
  }

  /** Reads records that were left out. */
  async readAgain(logs: readonly FoundLog[]): Promise<FoundLog[]> {
    const found = await this.readPlaces(logs, this.archived);
    if (found.length === logs.length || !this.archive) return found;
    // The segments of the others have moved, or were written back to D1, since the page was found.
    const have = new Set(found.map(keyOf));
    const left = logs.filter((log) => !have.has(keyOf(log)));
    const inD1 = left.map((log) => ({ ...log, segment: { ...log.segment, part: null } }));
    const rest = await this.readPlaces(inD1, null);
    return [...found, ...rest, ...(rest.length < left.length ? await this.readMoved(left, this.archive) : [])];
  }

  /** Opens the candidates of a page in their order, until the page is complete. Throws `Moved` if logs move meanwhile. */
  private async findOnce(query: LogQuery, chosen: Candidates): Promise<FoundLog[]> {
    const { filter, sort, limit, offset } = query;
    const { near } = endsIn(sort);
    const matches = logMatcher(filter);
    const opened = new Set<string>();
    const read = async (after?: Candidate) => {
      const { bundles, ...found } = await this.candidates.read(query, chosen, this.archived, after);
      if (await this.archived?.learn(bundles)) throw new Moved();
      return found;
    };
    this.segments.missed.clear();
    let { candidates, isEnd } = await read();
    const page = new PageOfLogs(sort, offset - (candidates[0]?.passed ?? 0), limit);
    const isEnough = (next: Candidate) => page.isComplete(next[near]);
    for (;;) {
      for await (const { segment, records } of this.open(candidates, this.archived, isEnough)) {
        if (this.archived?.parts.length && isRepeated(segment, opened)) continue;
        for (const [place, record] of (records ?? []).entries())
          if (record && matches(record, segment.run_id)) page.add(segment, place, record);
      }
      const last = candidates.at(-1);
      if (isEnd || !last || isEnough(last)) break;
      ({ candidates, isEnd } = await read(last));
    }
    // Of other runs, the archived logs are not read, and the answer says so.
    if (this.archived && chosen.runs.some((run) => this.segments.missed.has(run))) throw new Moved();
    return page.found();
  }

  private async readTo(
    { filter, sort, limit }: LogQuery,
    chosen: Candidates,
    rows: FoundLog[],
  ): Promise<Micros | null> {
    const { near } = endsIn(sort);
    const unread = this.archived?.firstUnread?.[near];
    const ends = unread === undefined ? [] : [unread];
    if (this.archived && chosen.isOfAllRuns) {
      const { after_ = null, before_ = null } = (filter.operator === "and_" && filter.timestamp) || {};
      const [row] = await this.db.rows<{ first: Micros | null; last: Micros | null }>(
        selectEnds(this.workspaceId, after_, before_),
      );
      if (row && row.first !== null && row.last !== null)
        ends.push(
          sort === "TIMESTAMP_ASC" ? Math.max(row.first, after_ ?? row.first) : Math.min(row.last, before_ ?? row.last),
        );
    }
    const last = rows.length === limit ? rows.at(-1) : undefined;
    const isBefore = (a: Micros, b: Micros) => (sort === "TIMESTAMP_ASC" ? a < b : a > b);
    const missing = ends.filter((end) => !last || !isBefore(last.timestamp, end));
    return missing.length === 0 ? null : missing.reduce((a, b) => (isBefore(a, b) ? a : b));
  }

  /** Opens segments and parts in their order. */
  private async *open<C extends Place>(
    places: readonly C[],
    archived: ArchivedLogs | null,
    isEnough: (next: C) => boolean = () => false,
  ): AsyncGenerator<Opened<Place>, undefined> {
    for (const group of groupsOf(places)) {
      if (group[0] && isEnough(group[0])) return;
      const inArchive = group.flatMap((place) => (place.part ? { ...place, part: place.part } : []));
      if (inArchive.length === 0) yield* this.segments.open(group, isEnough);
      else if (archived) yield* archived.open(inArchive, isEnough);
    }
  }

  private async readPlaces(logs: readonly FoundLog[], archived: ArchivedLogs | null): Promise<FoundLog[]> {
    const wanted = Map.groupBy(logs, ({ segment }) => keyOfSegment(segment));
    const places = new Map<unknown, Place>(
      logs.map(({ segment }: { segment: Place }) => [segment.part ?? keyOfSegment(segment), segment]),
    );
    const found: FoundLog[] = [];
    try {
      for await (const { segment, records } of this.open([...places.values()], archived)) {
        for (const log of wanted.get(keyOfSegment(segment)) ?? []) {
          const record = records?.[log.place];
          if (record) found.push({ ...log, record });
        }
      }
    } catch (error) {
      if (!(error instanceof Moved)) throw error;
    }
    return found;
  }

  /** Reads records of segments that are in the archive now. */
  private async readMoved(logs: readonly FoundLog[], archive: Archive): Promise<FoundLog[]> {
    const archived = new ArchivedLogs(archive);
    const runs = [...new Set(logs.map(({ segment }) => segment.run_id))];
    await whileMoving(async () =>
      archived.learn(await this.db.rows(selectBundlesOf(this.workspaceId, runs, "TIMESTAMP_ASC", MAX_BUNDLES + 1))),
    );
    const found: FoundLog[] = [];
    for (const log of logs) {
      const { run_id, first_timestamp } = log.segment;
      for (const part of archived.parts) {
        const { header } = part;
        const mayHave =
          header.run_id === run_id &&
          first_timestamp >= header.first_timestamp &&
          first_timestamp <= header.last_timestamp;
        if (mayHave)
          found.push(...(await this.readPlaces([{ ...log, segment: withPart(log.segment, part) }], archived)));
      }
    }
    return found;
  }
}

const withPart = (segment: Closed, part: ArchivedPart): Place => ({ ...segment, part });

const keyOfSegment = ({ run_id, first_timestamp, digest }: Closed) => JSON.stringify([run_id, first_timestamp, digest]);

/** The key of a log: that of its segment, and its place there. */
export const keyOf = ({ segment, place }: FoundLog) => `${keyOfSegment(segment)} ${place}`;

/** Whether the segment was opened before. A client may send a batch again after its first copy has moved. */
function isRepeated(segment: Closed, opened: Set<string>): boolean {
  const key = keyOfSegment(segment);
  if (opened.has(key)) return true;
  opened.add(key);
  return false;
}

/** The places in groups of segments or of parts. */
function groupsOf<C extends Place>(places: readonly C[]): C[][] {
  const groups: C[][] = [];
  for (const place of places) {
    const last = groups.at(-1);
    if (last?.[0] && !last[0].part === !place.part) last.push(place);
    else groups.push([place]);
  }
  return groups;
}
