/** Warns when the database is nearly full or will be soon, and counts the flow runs that started long ago, so that no request has to. */
import { log } from "#lib/log";
import { DAILY_SIZES, type DatabaseSize, MAX_DATABASE_BYTES, readDatabase, WARN_FROM } from "#resources/admin/database";
import { withToday } from "#resources/admin/growth";
import { isFirstOfHour } from "#services/turns";
import type { SweepTools } from "#tools";
import { sql } from "drizzle-orm";
import { sweep_mark } from "#db/tables/event";
import { flow_run, flow_run_count } from "#db/tables/flow-run";
import type { Micros } from "#lib/clock";
import { workspacesAfter } from "#services/sweep-store";

/** A warning about the days that are left is logged from this number on, and a more urgent one from the smaller number on. */
const FEW_DAYS = 30;
const VERY_FEW_DAYS = 7;

/**
 * In the first turn of each hour, logs a warning while the database is nearly full. In the first such turn of each day,
 * remembers the size, and logs a warning if the database is nearly full soon. Of two turns at once, one remembers and warns.
 */
export async function watchSize(tools: SweepTools, limit = MAX_DATABASE_BYTES): Promise<void> {
  const now = tools.clock();
  if (!isFirstOfHour(now)) return;
  const { size, daily, mark } = await readDatabase(tools.db, now, limit);
  const warning = sizeWarning(size);
  if (warning !== null) log(tools, "warn", warning);
  const sizes = withToday(daily, now, size.size_bytes);
  if (sizes === null || !(await remember(tools, mark, JSON.stringify(sizes)))) return;
  const soon = daysWarning(size);
  if (soon !== null) log(tools, "warn", soon);
}

/** Replaces the mark of the daily sizes. Returns false if another turn has replaced it. */
async function remember({ db }: SweepTools, before: string | null, after: string): Promise<boolean> {
  const { changes } = await db.run(
    before === null
      ? sql`insert into ${sweep_mark} (name, mark) values (${DAILY_SIZES}, ${after}) on conflict do nothing`
      : sql`update ${sweep_mark} set mark = ${after} where name = ${DAILY_SIZES} and mark = ${before}`,
  );
  return changes > 0;
}

/** The warning about a size; null if the database has room. */
export function sizeWarning({ size_bytes, limit_bytes, share }: Size): string | null {
  if (share < WARN_FROM) return null;
  return `the database has ${size_bytes} of ${limit_bytes} bytes (${Math.floor(share * 100)} %), ${ADVICE}`;
}

/** The warning about the days that are left; null if there are many, or if the database is nearly full already. */
export function daysWarning({ share, growth_bytes_per_day, days_left }: Growth): string | null {
  if (share >= WARN_FROM || days_left === null || days_left > FEW_DAYS) return null;
  const days = days_left <= VERY_FEW_DAYS ? VERY_FEW_DAYS : FEW_DAYS;
  return (
    `the database grows by ${growth_bytes_per_day} bytes a day: within ${days} days (${days_left}) it has ` +
    `${Math.floor(WARN_FROM * 100)} % of its limit, ${ADVICE}`
  );
}

type Size = Pick<DatabaseSize, "size_bytes" | "limit_bytes" | "share">;
type Growth = Pick<DatabaseSize, "share" | "growth_bytes_per_day" | "days_left">;

const ADVICE =
  "and when it is full nothing can be written: keep runs and events for a shorter time (docs/services.md, Retention)";

/** Runs that started at least this long ago are counted permanently, because few of them still change. */
const AGE: Micros = 60_000_000;
/** The count of a workspace is written after it has grown by this many runs. Until then each reader counts these runs. */
const MIN_GROWTH = 1_000;

/**
 * Counts the runs that became old in the last minute, in one statement. The triggers of the table count changes before
 * and after the statement. If the statement runs twice, no run is counted twice.
 */
export async function countOldRuns(tools: SweepTools): Promise<void> {
  const before = tools.clock() - AGE;
  const start = sql`coalesce("start_time", "expected_start_time")`;
  const grown = sql`(select count(*) from ${flow_run} r where r.workspace_id = w.id
    and ${start} >= coalesce(c.before, -9e18) and ${start} < ${before})`;
  await tools.db.run(sql`with recursive ${workspacesAfter("", flow_run)},
    growth as materialized (
      select w.id, coalesce(c.count, 0) as counted, ${grown} as grown
      from w left join ${flow_run_count} c on c.workspace_id = w.id
      where w.id is not null
    )
    insert into ${flow_run_count} (workspace_id, before, count)
    select id, ${before}, counted + grown from growth where grown >= ${MIN_GROWTH}
    on conflict (workspace_id) do update set before = excluded.before, count = excluded.count
      where excluded.before > ${flow_run_count.before}`);
}
