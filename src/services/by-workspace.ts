/** Sweeps look over all workspaces; what they found is worked on with the tools of its own. */
import { type SQL, sql } from "drizzle-orm";
import { log } from "#lib/log";
import type { Tools } from "#tools";

const AT_ONCE = 10;

/** Does the work for each workspace's share of the rows. What fails is logged, comes again with the next turn, and keeps nobody waiting. */
export async function byWorkspace<Row extends { workspace_id: string }>(
  tools: Tools,
  rows: readonly Row[],
  work: (tools: Tools, rows: readonly Row[]) => Promise<unknown>,
): Promise<void> {
  for (const [workspaceId, own] of Map.groupBy(rows, ({ workspace_id }) => workspace_id)) {
    await orLog({ workspace_id: workspaceId }, work({ ...tools, workspaceId }, own));
  }
}

/** Does the work for each run, some of them at a time, and fails like `byWorkspace`. */
export async function forEachRun<Row extends { workspace_id: string; id: string }>(
  tools: Tools,
  rows: readonly Row[],
  work: (tools: Tools, row: Row) => Promise<unknown>,
): Promise<void> {
  for (let from = 0; from < rows.length; from += AT_ONCE) {
    const some = rows.slice(from, from + AT_ONCE);
    await Promise.all(
      some.map((row) =>
        orLog(
          { workspace_id: row.workspace_id, run_id: row.id },
          work({ ...tools, workspaceId: row.workspace_id }, row),
        ),
      ),
    );
  }
}

/** How far one turn of a service goes. */
export interface Rounds {
  atOnce: number;
  rounds: number;
}

/**
 * Goes through rows in rounds; `read` is told which there were so far. So what fails, and is still there in the next round,
 * does not stand in the way of the others. What is left comes with the next turn.
 */
export async function inRounds<Row>(
  { atOnce, rounds }: Rounds,
  read: (before: readonly Row[]) => Promise<Row[]>,
  work: (rows: readonly Row[]) => Promise<void>,
): Promise<void> {
  const before: Row[] = [];
  for (let round = 0; round < rounds; round++) {
    const rows = await read(before);
    await work(rows);
    before.push(...rows);
    if (rows.length < atOnce) return;
  }
}

/** A further condition of a statement: none of the runs of the rounds before. */
export function andNoneOf(id: string, before: readonly { id: string }[]): SQL {
  if (before.length === 0) return sql``;
  const ids = JSON.stringify(before.map((row) => row.id));
  return sql`and ${sql.raw(id)} not in (select value from json_each(${ids}))`;
}

async function orLog(about: Readonly<Record<string, string>>, work: Promise<unknown>): Promise<void> {
  try {
    await work;
  } catch (error) {
    log({}, "error", "a service failed", { ...about, error });
  }
}
