/** Rounds over all workspaces. A round takes as many turns as it needs. The next round begins when its time has come. */
import { type SQL, sql } from "drizzle-orm";
import type { SQLiteTable } from "drizzle-orm/sqlite-core";
import * as z from "zod";
import type { Micros } from "#lib/clock";
import { log } from "#lib/log";
import { takeTurn } from "#services/turns";
import { selectNextWorkspace } from "#services/sweep-store";
import { inWorkspace, type SweepTools, type Tools } from "#tools";

/** Where a page ended within its workspace. */
const Place = z.object({ at: z.number(), id: z.string() });
export type Place = z.output<typeof Place>;

/** The progress of a round, which the mark keeps. */
const Progress = z.object({
  begun: z.number(),
  /** When the round before began, if that round was completed. */
  before: z.number().nullable(),
  /** The workspace of the last page, and where the page ended; null if the round is complete. */
  cursor: z.object({ workspace_id: z.string(), after: Place.nullable() }).nullable(),
  /** The `cause` of the round. */
  cause: z.string().optional(),
});
type Progress = z.output<typeof Progress>;

/** The input of a page: when its round began, when the round before began, and where the page before ended. */
export interface Page {
  begun: Micros;
  before: Micros | null;
  after: Place | null;
  /** How many items the page takes at most. 0 if the page skips one item, because no page with that item was completed. */
  most: number;
}

/** Work that is repeated for all workspaces. */
export interface Round {
  name: string;
  /** How long after the beginning of a round the next round begins. */
  everySeconds: number;
  /** What the round depends on. If it is another one than the last round's, a round begins at once, from the start. */
  cause?: string;
  /** Whether a round may begin in this turn. Default: yes. A round that has begun goes on. */
  mayBegin?: boolean;
  /** How many pages a turn may have. Default: 8. */
  pages?: number;
  /** How many items a page has. Default: 1,000. */
  items?: number;
  /** The table. The round goes through the workspaces that have rows in it. */
  table: SQLiteTable;
  /** Whether there is work in the workspace `w.id`. Default: there may be work. */
  hasWork?: (page: Pick<Page, "begun" | "before">) => SQL;
  /** Whether an error is not caused by the items of its page. If so, the page is begun again with as many items. */
  isOutage?: (error: unknown) => boolean;
  /** Does a bounded part of the work in one workspace. Returns where the next part begins, or null if no work is left. */
  work: (tools: Tools, page: Page) => Promise<Place | null>;
}

const START = { workspace_id: "", after: null };
/** How many times a page of one item is begun before the item is skipped until the next round. */
const MAX_TRIES = 5;

/**
 * One turn of a round: continues the round, begins the next round, or finds that the time for the next round has not
 * come. A page that fails is begun again with an eighth of its items.
 */
export function takeRound(tools: SweepTools, round: Round): Promise<void> {
  return takeTurn(tools, {
    name: `retention: ${round.name}`,
    most: round.items ?? 1_000,
    steps: round.pages ?? 8,
    tries: MAX_TRIES,
    ...(round.isOutage && { keepsSizeOnError: round.isOutage }),
    begin: (mark) => progressAt(tools.clock(), mark, round),
    async step({ place, most, note }) {
      await note();
      const progress = Progress.parse(JSON.parse(place));
      if (most === 0)
        log(tools, "error", "a round passes over one item, with which no page ends", { round: round.name, place });
      const cursor = await nextCursor(tools, round, progress, most);
      return { place: JSON.stringify({ ...progress, cursor }), isEnd: cursor === null };
    },
  });
}

/** Where a turn continues, from the mark; null if the time for the next round has not come. */
function progressAt(now: Micros, mark: string | null, { everySeconds, cause, mayBegin = true }: Round): string | null {
  const last = mark === null ? undefined : Progress.safeParse(JSON.parse(mark)).data;
  const kept = last?.cause === cause ? last : undefined;
  if (kept?.cursor) return mark;
  if (!mayBegin || (kept && now < kept.begun + everySeconds * 1_000_000)) return null;
  const begin = { begun: now, before: last?.begun ?? null, cursor: START } satisfies Progress;
  return JSON.stringify(cause === undefined ? begin : { ...begin, cause });
}

async function nextCursor(
  tools: SweepTools,
  round: Round,
  { begun, before, cursor }: Progress,
  most: number,
): Promise<Progress["cursor"]> {
  const { workspace_id: last, after } = cursor ?? START;
  const hasWork = round.hasWork?.({ begun, before }) ?? sql`true`;
  const [next] = after
    ? [{ id: last }]
    : await tools.db.rows<{ id: string }>(selectNextWorkspace(round.table, last, hasWork));
  if (!next) return null;
  return {
    workspace_id: next.id,
    after: await round.work(inWorkspace(tools, next.id), { begun, before, after, most }),
  };
}
