import { env } from "cloudflare:test";
import { getTableName } from "drizzle-orm";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { columnsOf } from "#db/columns";
import { event_segment, sweep_mark } from "#db/tables/event";
import { flow_run, flow_run_state } from "#db/tables/flow-run";
import { log_minute, log_segment } from "#db/tables/log";
import { task_run } from "#db/tables/task-run";
import { type Kind, nothingCounted } from "#resources/admin/census";
import { TABLES, takeCensus } from "#services/census";
import { keyOf, selectCensus } from "#services/census-store";
import { planOf } from "../support/plans";
import { clear, countAll, fill, ON_THE_HOUR, readMark, rowsIn, rowsOfKinds, writeMark } from "./census-world";
import { DAY, failingD1, type Fate, HOUR, toolsAt } from "./retention-world";

beforeEach(async () => {
  for (const [table] of TABLES) await clear(table);
});
afterEach(() => vi.restoreAllMocks());

/** The rows of each kind, as the tables have them. */
async function realRows(): Promise<Record<Kind, number>> {
  const rows: Record<Kind, number> = { flow_runs: 0, task_runs: 0, events: 0, logs: 0, other: 0 };
  for (const [table, kind] of TABLES) rows[kind] += await rowsIn(table);
  return rows;
}

/** The same without the marks, of which a count writes two itself. */
async function rowsWithoutMarks() {
  const rows = await realRows();
  return {
    ...rows,
    other: rows.other - Number(await env.DB.prepare("select count(*) as n from sweep_mark").first("n")),
  };
}

const withoutMarks = (rows: Record<Kind, number>) => ({ ...rows, other: rows.other - 2 });

const size = async () => (await env.DB.prepare("select 1").all()).meta.size_after;

test("every table of the database is counted", async () => {
  const { results } = await env.DB.prepare(
    "select name from sqlite_master where type = 'table' and name not like 'sqlite_%' and name not like '_cf_%' and name <> 'd1_migrations'",
  ).all<{ name: string }>();
  expect(new Set(TABLES.map(([table]) => getTableName(table)))).toEqual(new Set(results.map(({ name }) => name)));
});

test.for([3, 7, 1_000])("a count in steps of %d rows has the rows of each kind", async (rows) => {
  const others = TABLES.filter(([table]) => table !== sweep_mark);
  for (const [index, [table]] of others.entries()) await fill(table, 5 + ((index * 7) % 13));
  // Keys before 1970, of one row of each hour.
  await env.DB.prepare("update event_segment set hour = -hour where id > '8'").run();
  const counted = await countAll(toolsAt(ON_THE_HOUR), rows);
  expect(withoutMarks(rowsOfKinds(counted))).toEqual(await rowsWithoutMarks());
  expect(counted).toMatchObject({ begun: ON_THE_HOUR, ended: ON_THE_HOUR, size: expect.any(Number) as number });
});

describe("the bytes of a kind", () => {
  test.for([
    [flow_run, 40],
    [flow_run, 2_000],
    [flow_run_state, 40],
    [task_run, 300],
    [event_segment, 1_500],
    [event_segment, 20_000],
    [log_segment, 300],
    [log_minute, 40],
  ] as const)(
    "are at most a fifth away from how the file of the database grew: rows of %s with texts of %d",
    async ([table, length]) => {
      const kind = TABLES.find(([one]) => one === table)?.[1] ?? "other";
      const empty = await size();
      await fill(table, length > 10_000 ? 200 : 2_000, length);
      const real = (await size()) - empty;
      const { sums } = await countAll(toolsAt(ON_THE_HOUR));
      expect(sums[kind].bytes / real).toBeGreaterThan(0.8);
      expect(sums[kind].bytes / real).toBeLessThan(1.2);
    },
  );

  test.for(TABLES.map(([table]) => [getTableName(table), table] as const))(
    "of %s are at least its texts, and with long texts at most a tenth more",
    async ([, table]) => {
      await fill(table, 20, 30_000);
      const texts = columnsOf(table).filter((column) => column.getSQLType() === "text");
      const lengths = texts.map(({ name }) => `coalesce(length(cast("${name}" as blob)), 0)`).join(" + ");
      const real = Number(await env.DB.prepare(`select sum(${lengths}) as n from ${getTableName(table)}`).first("n"));
      const [page] = await toolsAt(ON_THE_HOUR).db.rows<{ counted: number; bytes: number }>(
        selectCensus(table, null, 100, false),
      );
      expect(page?.counted).toBe(20);
      expect(page?.bytes).toBeGreaterThan(real);
      if (real > 500_000) expect(page?.bytes).toBeLessThan(real * 1.1 + 20 * 4_096);
    },
  );
});

test("a page is a range of the key, without sorting, and reads each row once", async () => {
  for (const [table] of TABLES) {
    const plan = await planOf(
      selectCensus(
        table,
        keyOf(table).map(() => "a"),
        10,
        false,
      ),
    );
    expect(plan).toMatch(/SEARCH .* USING PRIMARY KEY/);
    expect(plan).not.toMatch(/TEMP B-TREE|SCAN (?!page)/);
  }
  await fill(flow_run_state, 500);
  const { db } = toolsAt(ON_THE_HOUR);
  await db.rows(selectCensus(flow_run_state, null, 200, false));
  expect(db.cost.d1_rows_read).toBe(200);
});

describe("the cost of a turn", () => {
  test("is nothing before the first hour, and one row between two counts", async () => {
    const cost = async (now: number) => {
      const tools = toolsAt(now);
      await takeCensus(tools);
      const { d1_queries, d1_rows_read, d1_rows_written } = tools.db.cost;
      return [d1_queries, d1_rows_read, d1_rows_written];
    };
    expect(await cost(ON_THE_HOUR + HOUR / 2)).toEqual([1, 0, 0]);
    await countAll(toolsAt(ON_THE_HOUR));
    expect(await cost(ON_THE_HOUR + HOUR / 2)).toEqual([1, 1, 0]);
    expect(await cost(ON_THE_HOUR + 23 * HOUR)).toEqual([1, 1, 0]);
  });

  test("is bounded: eight steps, each with so many rows", async () => {
    await fill(flow_run, 1_000);
    const tools = toolsAt(ON_THE_HOUR);
    await takeCensus(tools, 100);
    expect((await readMark())?.sums.flow_runs.rows).toBe(800);
    expect(tools.db.cost.d1_rows_read).toBeLessThan(860);
    expect(tools.db.cost.d1_rows_written).toBeLessThanOrEqual(18);
  });
});

test("the next count begins a day later, in the first turn of an hour, and the result before it is kept meanwhile", async () => {
  await fill(flow_run, 10);
  const first = await countAll(toolsAt(ON_THE_HOUR));
  await fill(flow_run, 10);
  await takeCensus(toolsAt(ON_THE_HOUR + DAY + 5 * 60_000_000));
  expect(await readMark()).toMatchObject({ cursor: null, last: first });
  await takeCensus(toolsAt(ON_THE_HOUR + DAY));
  expect(await readMark()).toMatchObject({ cursor: { after: null }, last: first });
  const second = await countAll(toolsAt(ON_THE_HOUR + DAY + 60_000_000));
  expect([second.begun, second.ended]).toEqual([ON_THE_HOUR + DAY, ON_THE_HOUR + DAY + 60_000_000]);
  expect([first.sums.flow_runs.rows, second.sums.flow_runs.rows]).toEqual([10, 20]);
});

describe("a count is right in the end", () => {
  const TABLES_WITH_ROWS = [flow_run, task_run, event_segment, log_minute];
  beforeEach(async () => {
    for (const table of TABLES_WITH_ROWS) await fill(table, 23);
  });

  const AT_THE_END = { table: "dead_letter", after: null };
  test.for([
    ["first", "lost", 30, null],
    ["first", "made, but the answer is lost", 30, null],
    ["last", "lost", 12, AT_THE_END],
    ["last", "made, but the answer is lost", 12, AT_THE_END],
  ] as const)(
    "if the process dies at any of the %s calls of the database, and the call is %s",
    async ([, fate, calls, cursor]) => {
      const expected = await rowsWithoutMarks();
      const sums = { ...nothingCounted(), logs: { rows: expected.logs, bytes: 1 } };
      const none = { flow_runs: 0, task_runs: 0, events: 0, logs: expected.logs, other: 0 };
      for (let call = 0; call < calls; call++) {
        await env.DB.prepare("delete from sweep_mark").run();
        if (cursor) await writeMark({ begun: ON_THE_HOUR, cursor, sums, last: null });
        const fates: Fate[] = [...Array.from({ length: call }, (): Fate => "made"), fate];
        const counted = await countAll(toolsAt(ON_THE_HOUR, {}, failingD1(fates)), 10);
        expect(withoutMarks(rowsOfKinds(counted))).toEqual(cursor ? none : expected);
      }
    },
  );

  test("if two turns always run at the same time", async () => {
    const [one, other] = [toolsAt(ON_THE_HOUR), toolsAt(ON_THE_HOUR + 1)];
    const counted = await countAll(one, 5, async () => {
      await Promise.all([takeCensus(one, 5), takeCensus(other, 5)]);
    });
    expect(withoutMarks(rowsOfKinds(counted))).toEqual(await rowsWithoutMarks());
  });

  test("if a slow turn moves the mark after other turns have ended the count", async () => {
    const slow = toolsAt(ON_THE_HOUR);
    const own = slow.db.batch.bind(slow.db);
    let counted: Awaited<ReturnType<typeof countAll>> | undefined;
    vi.spyOn(slow.db, "batch").mockImplementation(async (statements) => {
      counted ??= await countAll(toolsAt(ON_THE_HOUR), 5);
      return own(statements);
    });
    await takeCensus(slow, 5);
    expect(await readMark()).toMatchObject({ cursor: null, last: counted });
  });

  test.for(["nonsense", '{"cursor":1}', `{"begun":1,"cursor":{"table":"gone","after":null},"sums":{},"last":null}`])(
    "if the mark is %s",
    async (mark) => {
      await writeMark(mark);
      const counted = await countAll(toolsAt(ON_THE_HOUR));
      expect(withoutMarks(rowsOfKinds(counted))).toEqual(await rowsWithoutMarks());
    },
  );
});

test("a row with which no step ends is counted without its bytes, and does not delay other rows", async () => {
  await fill(flow_run, 30);
  const failing = await env.DB.prepare("select id from flow_run order by workspace_id, id limit 1 offset 11").first(
    "id",
  );
  const errors = vi.spyOn(console, "error").mockReturnValue(undefined);
  const tools = toolsAt(ON_THE_HOUR);
  const { db } = tools;
  const rows = db.rows.bind(db);
  vi.spyOn(db, "rows").mockImplementation(async <Row>(statement: Parameters<typeof db.rows>[0]) => {
    const found = await rows<Row>(statement);
    const [page] = found as { bytes?: number; id?: string }[];
    if (page?.bytes && page.id && page.id === failing) throw new Error("the database is away");
    return found;
  });
  const counted = await countAll(tools, 1);
  expect(counted.sums.flow_runs.rows).toBe(30);
  expect(errors).toHaveBeenCalledTimes(1);
});
