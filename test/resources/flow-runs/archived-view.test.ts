/** Statements that read rows of the archive in place of rows of D1. */
import { env } from "cloudflare:test";
import { sql } from "drizzle-orm";
import { expect, test } from "vitest";
import { columnsOf } from "#db/columns";
import { Database } from "#db/database";
import { ChangedDatabase } from "#db/views";
import { noCost } from "#lib/cost";
import { RUN_TABLES, type RunRows, type StoredRow } from "#resources/flow-runs/archived-parts";
import { archivedView } from "#resources/flow-runs/archived-view";
import { aFlowRun, WORKSPACE } from "../../support/world";

const NONE: RunRows = {
  flow_run: [],
  flow_run_state: [],
  flow_run_state_page: [],
  flow_run_input: [],
  task_run: [],
  artifact: [],
};

const anInput = (key: string, value: string, fields: StoredRow = {}): StoredRow => ({
  workspace_id: WORKSPACE,
  flow_run_id: "run",
  key,
  value,
  ...fields,
});

const view = (rows: Partial<RunRows>, named: string[] = ["run"]) =>
  new ChangedDatabase(
    new Database(env.DB, noCost()),
    archivedView(WORKSPACE, [{ id: "run", start: 0, rows: { ...NONE, ...rows } }], named),
  );

const keysOf = async (db: Database, rest = sql``) =>
  (await db.rows<{ key: string }>(sql`select key from flow_run_input ${rest} order by key`)).map(({ key }) => key);

test("rows have their values, and null for a column that is newer than they are", async () => {
  const odd = { sender: null, created: Number.MAX_SAFE_INTEGER, updated: -1 };
  const db = view({ flow_run_input: [anInput("1", "\u{1F600} \u0001 ' \" \\ \n", odd)] });
  const [row] = await db.rows<Record<string, unknown>>(sql`select * from flow_run_input`);
  expect(Object.keys(row ?? {})).toEqual(columnsOf(RUN_TABLES.flow_run_input).map(({ name }) => name));
  expect(row).toEqual({ ...anInput("1", "\u{1F600} \u0001 ' \" \\ \n", odd), id: null });
});

test("a table without archived rows is read in D1", async () => {
  const { id } = await aFlowRun();
  const db = view({ flow_run_input: [anInput("1", "")] });
  expect(await db.rows(sql`select id from flow_run where id = ${id}`)).toEqual([{ id }]);
});

test("of a table with archived rows, only the named runs of D1 are seen", async () => {
  const [named, other] = [await aFlowRun(), await aFlowRun()];
  const db = view({ flow_run: [{ workspace_id: WORKSPACE, id: "run" }] }, ["run", named.id]);
  const ids = [named.id, other.id, "run"];
  const found = await db.rows<{ id: string }>(
    sql`select id from flow_run where id in (${sql.join(
      ids.map((id) => sql`${id}`),
      sql`, `,
    )})`,
  );
  expect(found.map(({ id }) => id).toSorted()).toEqual([named.id, "run"].toSorted());
});

test("a select with subqueries, and a select that names an index, read the rows", async () => {
  const db = view({ flow_run_input: [anInput("1", ""), anInput("2", "")], flow_run: [{ id: "run" }] });
  expect(await keysOf(db, sql`where key in (with a as (select '1' as key) select key from a)`)).toEqual(["1"]);
  const texts = [
    sql`with a as (select key from flow_run_input) select key from a order by key`,
    sql`with recursive a(key) as (select '1' union select key from flow_run_input) select key from a order by key`,
    sql`select i.key from flow_run r indexed by flow_run_live join flow_run_input i on i.flow_run_id = r.id order by key`,
  ];
  for (const text of texts) expect(await db.rows(text)).toEqual([{ key: "1" }, { key: "2" }]);
});

test("rows of many megabytes, and rows that are too long for one value of D1, are read", async () => {
  const rows = Array.from({ length: 12 }, (_, n) => anInput(`${n + 10}`, "x".repeat(400_000)));
  // As JSON each of these characters has six bytes.
  rows.push(anInput("a", "\u0001".repeat(700_000)), anInput("b", "\u0001".repeat(700_000)));
  const db = view({ flow_run_input: rows });
  expect(await keysOf(db)).toEqual(rows.map(({ key }) => key));
  const [row] = await db.rows<{ value: string }>(sql`select value from flow_run_input where key = 'b'`);
  expect(row?.value).toBe("\u0001".repeat(700_000));
});

test("too many rows for one answer are refused", async () => {
  const rows = Array.from({ length: 50 }, (_, n) => anInput(`${n}`, "x".repeat(500_000)));
  await expect(keysOf(view({ flow_run_input: rows }))).rejects.toMatchObject({ status: 413 });
  const task_run = Array.from({ length: 40_001 }, (_, n) => ({ id: String(n) }));
  expect(() => view({ task_run })).toThrow("40001 task runs");
});
