import { applyD1Migrations, env } from "cloudflare:test";
import { beforeAll, expect, test, vi } from "vitest";
import type { Move } from "#databases";
import { copyWorkspace } from "#services/move-workspace";
import { aDeployment, aFlowRun, api, propose, unique, WORKSPACE } from "../support/world";
import { write } from "../events/archive-world";
import { failingD1, type Fate } from "./retention-world";

const MINUTE = 60_000_000;
const START = 1_800_000_000_000_000;

beforeAll(() => applyD1Migrations(env.DB_OTHER, env.TEST_MIGRATIONS));

/** The names of all tables of Sluice but the marks. */
async function tables(): Promise<string[]> {
  const { results } = await env.DB.prepare(
    "select name from sqlite_schema where type = 'table' and name not glob '_cf*' and name not glob 'sqlite*'",
  ).all<{ name: string }>();
  return results.map(({ name }) => name).filter((name) => name !== "d1_migrations" && name !== "sweep_mark");
}

/** All rows of all workspaces, as SQL's literals, by table. */
async function contentOf(d1: D1Database): Promise<Record<string, unknown[]>> {
  const content: Record<string, unknown[]> = {};
  for (const table of await tables()) {
    const { results } = await d1.prepare(`select name from pragma_table_info('${table}')`).all<{ name: string }>();
    const columns = results.map(
      ({ name }) => `substr(quote("${name}"), 1, 200) || octet_length("${name}") as "${name}"`,
    );
    const rows = (await d1.prepare(`select ${columns.join(", ")} from ${table}`).all()).results;
    content[table] = rows.toSorted((one, other) => (JSON.stringify(one) < JSON.stringify(other) ? -1 : 1));
  }
  return content;
}

const emptyAll = async (d1: D1Database) =>
  d1.batch([...(await tables()), "sweep_mark"].map((table) => d1.prepare(`delete from ${table}`)));

/** Takes turns until the copy is done. Turns may fail. */
async function copyAll(move: Move, marks: D1Database): Promise<number> {
  for (let turn = 0; turn < 300; turn++) {
    await copyWorkspace(move, () => START + turn * MINUTE).catch((error: unknown) => {
      if (!/the database is away|the answer is lost/.test(String(error))) throw error;
    });
    const mark = await marks
      .prepare("select mark from sweep_mark where name = ?")
      .bind(`move ${WORKSPACE}`)
      .first<string>("mark");
    if (mark !== null && (JSON.parse(mark) as { done: number | null }).done !== null) return turn;
  }
  throw new Error("the copy does not come to an end");
}

async function aWorld(): Promise<void> {
  const deployment = await aDeployment({ schedules: [{ schedule: { interval: 3600 } }] });
  const run = await aFlowRun({ deployment_id: deployment.id, flow_id: deployment.flow_id });
  await propose(run.id, { type: "RUNNING" });
  const line = { level: 20, name: "log", message: "hello", timestamp: new Date().toISOString(), flow_run_id: run.id };
  await api("POST", "/logs/", [line, line]);
  for (const key of ["a", "b"])
    await api("POST", "/task_runs/", { flow_run_id: run.id, task_key: "task", dynamic_key: key });
  await write(WORKSPACE, [{ age: 0, about: `prefect.flow-run.${run.id}` }], { ago: 0 });
  await api("POST", "/variables/", { name: unique("variable").replaceAll("-", "_"), value: "x" });
  const large = env.DB.prepare(
    "insert into flow_run_input (workspace_id, flow_run_id, key, id, created, updated, value) values (?, ?, ?, ?, 1, 1, ?)",
  );
  for (let index = 0; index < 5; index++)
    await large.bind(WORKSPACE, run.id, `key-${index}`, crypto.randomUUID(), "é".repeat(400_000)).run();
  await env.DB.batch(
    Array.from({ length: 450 }, (_, minute) =>
      env.DB.prepare("insert into log_minute values (?, ?, ?)").bind(WORKSPACE, minute * MINUTE, run.id),
    ),
  );
  for (let index = 0; index < 300; index++)
    await env.DB.prepare("insert into archived_run values (x'01', randomblob(16), ?, 1, randomblob(16))")
      .bind(index)
      .run();
  await env.DB.prepare(
    "insert into run_archive values (?, 1, randomblob(16), 2, 'key', 3, 4, 'digest', 5, randomblob(80))",
  )
    .bind(WORKSPACE)
    .run();
  // An integer that JavaScript's numbers do not have.
  await env.DB.prepare("update flow_run set total_run_time = 9007199254740993 where id = ?").bind(run.id).run();
}

test("all rows of a workspace are copied as they are, and those of other workspaces stay", async () => {
  await emptyAll(env.DB);
  await aWorld();
  const own = await contentOf(env.DB);
  const used = ["flow_run", "task_run", "log_segment", "event_segment", "event_resource", "deployment_schedule"];
  expect(used.filter((table) => own[table]?.length === 0)).toEqual([]);
  expect([own["flow_run_input"]?.length, own["log_minute"]?.length]).toEqual([5, 451]);
  expect([own["archived_run"]?.length, own["run_archive"]?.length]).toEqual([300, 1]);
  await env.DB.prepare("insert into log_minute values ('00000000-0000-4000-8000-0000000000db', 1, 'run')").run();
  const complaints = vi.spyOn(console, "warn").mockReturnValue(undefined);
  const move = { workspaceId: WORKSPACE, from: env.DB, to: env.DB_OTHER };
  // For a quarter of an hour, processes without the new setting may write.
  await copyWorkspace(move, () => START);
  await copyWorkspace(move, () => START + 14 * MINUTE);
  expect(await env.DB_OTHER.prepare("select count(*) as n from flow_run").first("n")).toBe(0);
  expect(await copyAll(move, env.DB_OTHER)).toBe(15);
  expect(await contentOf(env.DB_OTHER)).toEqual(own);
  await copyWorkspace(move, () => START + 60 * MINUTE);
  expect(complaints.mock.calls.map(([line]) => String(line)).join()).toContain("may name its new database");

  // The way back, with failures.
  await emptyAll(env.DB);
  const outcomes: Fate[] = ["made", "made", "lost", "made", "made, but the answer is lost"];
  const fates = Array.from({ length: 20 }, () => outcomes).flat();
  const back = { workspaceId: WORKSPACE, from: env.DB_OTHER, to: failingD1(fates) };
  await copyAll(back, env.DB);
  expect(await contentOf(env.DB)).toEqual(own);
});

test("a late turn of a copy does not overwrite what was changed since", async () => {
  await emptyAll(env.DB);
  await emptyAll(env.DB_OTHER);
  const { id } = await aFlowRun();
  const move = { workspaceId: WORKSPACE, from: env.DB, to: env.DB_OTHER };
  await copyAll(move, env.DB_OTHER);
  await env.DB_OTHER.prepare("update flow_run set name = 'changed' where id = ?").bind(id).run();
  const mark = JSON.stringify({ begins: 0, table: 0, after: null, done: null });
  await env.DB_OTHER.prepare("update sweep_mark set mark = ? where name = ?").bind(mark, `move ${WORKSPACE}`).run();
  await copyAll(move, env.DB_OTHER);
  expect(await env.DB_OTHER.prepare("select name from flow_run").first("name")).toBe("changed");
});

test("a workspace is not copied to a database that has rows of it already", async () => {
  await emptyAll(env.DB);
  await emptyAll(env.DB_OTHER);
  await aFlowRun();
  const move = { workspaceId: WORKSPACE, from: env.DB, to: env.DB_OTHER };
  await copyAll(move, env.DB_OTHER);
  await env.DB_OTHER.prepare("delete from sweep_mark").run();
  await expect(copyWorkspace(move, () => START)).rejects.toThrow("has rows of it already");
});
