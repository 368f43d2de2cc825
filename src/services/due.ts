/**
 * Does the work for due rows of all workspaces. A round goes through the rows in the order of their index. A workspace
 * has a share of each round. After its share, the workspace continues in the next round, at the row where it stopped.
 */
import { type SQL, sql } from "drizzle-orm";
import * as z from "zod";
import { each, list } from "#db/sql";
import { chunks } from "#lib/chunks";
import { log } from "#lib/log";
import { CoreFlowPolicy, onlyWhile } from "#orchestration/policies";
import { setFlowRunState } from "#orchestration/set-flow-run-state";
import { takeTurn } from "#services/turns";
import { inWorkspace, type SweepTools, type Tools } from "#tools";
import type { StateProposal } from "#wire/state";

/** Where a workspace stopped: its id, and the place of its last row. */
const End = z.tuple([z.string(), z.string()]);

/** The progress of a round, which the mark keeps between turns. */
const Round = z.object({
  /** The place of the last row. */
  after: z.string().nullable(),
  /** The workspaces that have had their share of this round. */
  served: z.array(End),
  /** The places at which workspaces begin that used their share of the round before. */
  begins: z.array(End),
});
export type Round = z.output<typeof Round>;

/** A row of any workspace that a sweep finds. */
export interface RowKey {
  workspace_id: string;
  id: string;
}

/** A row that is due. */
export interface DueRow extends RowKey {
  /** The row's place in the order of its index; see `placeIn`. */
  place: string;
}

interface DueSweep<Row> {
  /** The name of the sweep's mark. */
  name: string;
  /** How many rows a step takes. Also the share of a workspace in a round. */
  most?: number;
  /** How many steps a turn takes at most. */
  steps?: number;
  /** The next rows of a round. */
  select: (page: Page) => SQL;
  /** Does the work for some rows. Throws to end the turn. */
  work: (rows: readonly Row[]) => Promise<void>;
}

/** Which rows a select returns. */
export interface Page {
  round: Round;
  most: number;
}

/** The start of a round in which no workspace has used its share. */
export const START: Round = { after: null, served: [], begins: [] };

/**
 * Takes one turn: steps until no row or no step is left. A turn that ends early keeps its place, so rows that fail
 * repeatedly do not block other rows. The next round finds the failed rows again.
 */
export function seeToDue<Row extends DueRow = DueRow>(
  tools: SweepTools,
  { name, most = 200, steps = 10, select, work }: DueSweep<Row>,
): Promise<void> {
  const taken = new Map<string, number>();
  return takeTurn(tools, {
    name,
    most,
    steps,
    begin: (mark) => mark ?? JSON.stringify(START),
    async step({ place, most }) {
      const round = Round.parse(JSON.parse(place));
      const rows = await tools.db.rows<Row>(select({ round, most }));
      await work(rows);
      const next = roundAfter(round, rows, { most, taken });
      return { place: next && JSON.stringify(next), isEnd: next === null };
    },
  });
}

/**
 * Where a round continues after some rows: after the last row. If no rows are left, it continues with the next round of the workspaces
 * that used their share. Null if there are no such workspaces. `taken` counts the rows of each workspace in this round.
 */
export function roundAfter(
  { served: before, begins }: Round,
  rows: readonly Omit<DueRow, "id">[],
  { most, taken }: { most: number; taken: Map<string, number> },
): Round | null {
  const served = [...before];
  for (const [workspace, own] of Map.groupBy(rows, ({ workspace_id }) => workspace_id)) {
    const count = (taken.get(workspace) ?? 0) + own.length;
    taken.set(workspace, count);
    const last = own.at(-1);
    if (last && count >= most) served.push([workspace, last.place]);
  }
  const last = rows.at(-1);
  if (last && rows.length >= most) return { after: last.place, served, begins };
  taken.clear();
  return served.length > 0 ? { after: null, served: [], begins: served } : null;
}

/** The order of an index, in which a round goes through rows. */
export interface Order {
  /** The alias of the table in the select. */
  alias: string;
  /** The columns of the index. */
  by: readonly string[];
  /** The same columns in a row's place, for columns that may be null. A place must not have nulls. */
  place?: readonly string[];
}

/** The column `place` of a select in an order, as JSON. */
export function placeIn({ by, place = by }: Order): SQL {
  return sql.raw(`json_array(${place.join(", ")}) as place`);
}

/** The end of a select: the next rows of a round, in an order. */
export function nextIn({ round, most }: Page, { alias, by, place = by }: Order): SQL {
  const { after, served, begins } = round;
  const workspace = sql.raw(`${alias}.workspace_id`);
  const own = sql.raw(`(${place.join(", ")})`);
  const placeOf = (json: SQL) =>
    sql`(${sql.join(
      place.map((_, index) => sql`${json} ->> ${sql.raw(String(index))}`),
      sql`, `,
    )})`;
  const conditions: SQL[] = [];
  if (after !== null) conditions.push(sql`and ${own} > ${placeOf(sql`${after}`)}`);
  if (served.length > 0) conditions.push(sql`and ${workspace} not in ${list(served.map(([id]) => id))}`);
  if (begins.length > 0)
    conditions.push(sql`and not exists (select 1 from ${each(begins)} b
      where b.value ->> 0 = ${workspace} and ${own} <= ${placeOf(sql`(b.value ->> 1)`)})`);
  return sql`${sql.join(conditions, sql` `)} order by ${sql.raw(by.join(", "))} limit ${most}`;
}

/** How many runs are handled at the same time. */
const AT_ONCE = 10;

/** Does the work for the rows of each workspace. A failure is logged, and the work for the other workspaces continues. */
export async function byWorkspace<Row extends RowKey>(
  tools: SweepTools,
  rows: readonly Row[],
  work: (tools: Tools, rows: readonly Row[]) => Promise<unknown>,
): Promise<void> {
  for (const [workspaceId, own] of Map.groupBy(rows, ({ workspace_id }) => workspace_id)) {
    await orLog({ workspace_id: workspaceId }, work(inWorkspace(tools, workspaceId), own));
  }
}

/** Does the work for each run, some runs at the same time. A failure is logged, and the work for the other runs continues. */
export async function forEachRun<Row extends RowKey>(
  tools: SweepTools,
  rows: readonly Row[],
  work: (tools: Tools, row: Row) => Promise<unknown>,
): Promise<void> {
  for (const some of chunks(rows, AT_ONCE)) {
    await Promise.all(
      some.map((row) =>
        orLog({ workspace_id: row.workspace_id, run_id: row.id }, work(inWorkspace(tools, row.workspace_id), row)),
      ),
    );
  }
}

/** Proposes a state for a run, unless its state has changed since the sweep found the run. */
export function proposeState(
  tools: Tools,
  { id, state_id }: { id: string; state_id: string },
  proposal: StateProposal,
) {
  const policy = onlyWhile(({ initial }) => initial?.id === state_id, CoreFlowPolicy);
  return setFlowRunState(tools, id, proposal, { policy });
}

async function orLog(about: Readonly<Record<string, string>>, work: Promise<unknown>): Promise<void> {
  try {
    await work;
  } catch (error) {
    log({}, "error", "a service failed", { ...about, error });
  }
}
