/** Runs move to the archive and come back, row for row. */
import { env } from "cloudflare:test";
import fc from "fast-check";
import { expect, test } from "vitest";
import { FIRST_WORKSPACE } from "#db/short/ids";
import { DAY } from "#lib/clock";
import { noCost } from "#lib/cost";
import { TABLE_NAMES } from "#resources/flow-runs/archived-parts";
import { restoreRun } from "#resources/flow-runs/archived-restore";
import { archivedStart, findArchivedRuns } from "#resources/flow-runs/archived-run";
import { canonicalUuid } from "#wire/ids";
import { r2 } from "../../archive/world";
import { rowsOf } from "../../services/retention-world";
import { objectsOf } from "../logs/archive-world";
import {
  A_RUN,
  beginWithoutRuns,
  anyRun,
  countOf,
  emptyRuns,
  moveRuns,
  NOW,
  runTools,
  storedRows,
  writeRun,
} from "./archive-world";

beginWithoutRuns();

const NOTHING = Object.fromEntries(TABLE_NAMES.map((name) => [name, []]));

test("for random runs: a reader and a restore give each row as it was", { timeout: 240_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(anyRun, { minLength: 1, maxLength: 4 }), fc.boolean(), async (runs, isFirst) => {
      await emptyRuns();
      const workspace = isFirst ? FIRST_WORKSPACE : crypto.randomUUID();
      await r2().delete(await objectsOf(workspace));
      const written: string[] = [];
      for (const run of runs) written.push((await writeRun(workspace, run)).id);
      const before = await storedRows(workspace);
      const read = await Promise.all(TABLE_NAMES.map((name) => rowsOf(name)));
      await moveRuns(runTools(workspace));
      expect(await storedRows(workspace)).toEqual(NOTHING);
      const found = await findArchivedRuns(runTools(workspace), written);
      expect(found.map(({ id }) => id)).toEqual(written);
      for (const [place, name] of TABLE_NAMES.entries()) {
        const rows = found.flatMap((run) => run.rows[name]).map((row) => JSON.stringify(row));
        expect(rows.toSorted()).toEqual((read[place] ?? []).map((row) => JSON.stringify(row)).toSorted());
      }
      for (const id of written)
        expect(await restoreRun(runTools(workspace), id)).toMatchObject({ runs: 1, unreadable: 0 });
      expect(await storedRows(workspace)).toEqual(before);
      expect(await objectsOf(workspace)).toEqual([]);
      expect(await countOf("archived_run")).toBe(0);
    }),
    { numRuns: 25 },
  );
});

test("a large run has several parts, and is read a part at a time", async () => {
  const workspace = crypto.randomUUID();
  const task = { isOld: false, dynamic: "k", inputs: "{}", name: "t", cache: null };
  const states = (place: number) => `["${String(place).repeat(300_000)}"]`;
  const tasks = Array.from({ length: 12 }, (_, place) => ({ ...task, states: states(place % 10) }));
  const { id } = await writeRun(workspace, { ...A_RUN, tasks });
  const before = await storedRows(workspace);
  await moveRuns(runTools(workspace));
  expect(await storedRows(workspace)).toEqual(NOTHING);
  const [run] = await findArchivedRuns(runTools(workspace), [id]);
  expect(run?.rows.task_run).toHaveLength(12);
  expect((await restoreRun(runTools(workspace), id)).runs).toBe(1);
  expect(await storedRows(workspace)).toEqual(before);
});

test("a run that is too large for the archive stays, and the others move", async () => {
  const workspace = crypto.randomUUID();
  const task = { isOld: false, dynamic: "k", inputs: "{}", name: "t", cache: null };
  const tasks = Array.from({ length: 9 }, () => ({ ...task, states: `["${"x".repeat(1_500_000)}"]` }));
  const large = await writeRun(workspace, { ...A_RUN, tasks, ended: 200 * DAY });
  const small = await writeRun(workspace);
  await moveRuns(runTools(workspace));
  expect(await archivedStart(runTools(workspace), large.id)).toBeNull();
  expect((await storedRows(workspace)).task_run).toHaveLength(9);
  expect(await archivedStart(runTools(workspace), small.id)).toBe(NOW - A_RUN.ended - DAY / 24);
});

test("only runs past their retention move, and a subflow moves after its parent, with its parent's task run", async () => {
  const workspace = crypto.randomUUID();
  const young = await writeRun(workspace, { ...A_RUN, ended: 89 * DAY });
  const parent = await writeRun(workspace);
  const child = await writeRun(workspace, A_RUN, { parent: parent.tasks[0] ?? null });
  const grandchild = await writeRun(workspace, A_RUN, { parent: child.tasks[1] ?? null });
  const kept = await writeRun(workspace, A_RUN, { parent: young.tasks[0] ?? null });
  const before = await storedRows(workspace);
  await moveRuns(runTools(workspace));
  const left = (await env.DB.prepare("select id from flow_run order by id").all<{ id: string }>()).results;
  expect(left.map(({ id }) => id)).toEqual([young.id, kept.id].toSorted());
  const found = await findArchivedRuns(runTools(workspace), [child.id, grandchild.id, kept.id]);
  expect(found.map(({ rows }) => rows.flow_run[0]?.["parent_task_run_id"])).toEqual([parent.tasks[0], child.tasks[1]]);
  for (const { id } of [grandchild, child, parent]) await restoreRun(runTools(workspace), id);
  expect(await storedRows(workspace)).toEqual(before);
});

test("restored runs stay for a day, and then move again", async () => {
  const workspace = crypto.randomUUID();
  const { id } = await writeRun(workspace);
  await moveRuns(runTools(workspace));
  await restoreRun(runTools(workspace), id);
  expect(await restoreRun(runTools(workspace), id)).toEqual({ runs: 0, logs: 0, unreadable: 0 });
  await moveRuns(runTools(workspace, { now: NOW + DAY - 1 }));
  expect(await countOf("flow_run")).toBe(1);
  await moveRuns(runTools(workspace, { now: NOW + DAY }));
  expect([await countOf("flow_run"), await countOf("archived_run")]).toEqual([0, 1]);
});

test("without the switch, runs are deleted as before", async () => {
  const workspace = crypto.randomUUID();
  await writeRun(workspace);
  await moveRuns(runTools(workspace, { vars: { SLUICE_ARCHIVE_RUNS: "false" } }));
  expect([await storedRows(workspace), await countOf("archived_run")]).toEqual([NOTHING, 0]);
});

test("the move of a run writes the rows that its deletion writes, and one more", async () => {
  const workspace = crypto.randomUUID();
  const cost = async (archive: string) => {
    await emptyRuns();
    for (let run = 0; run < 100; run++) await writeRun(workspace);
    const spent = noCost();
    const vars = { SLUICE_ARCHIVE_RUNS: archive };
    await moveRuns(runTools(workspace, { cost: spent, vars }));
    expect(await countOf("flow_run")).toBe(0);
    return spent;
  };
  const [deletion, move] = [await cost("false"), await cost("true")];
  const more = (move.d1_rows_written - deletion.d1_rows_written) / 100;
  expect(more).toBeGreaterThan(0.9);
  expect(more).toBeLessThan(1.1);
  expect([move.r2_class_a, move.r2_class_b]).toEqual([1, 1]);
  // A run is found by the keys: its own row, and the row of its bundle.
  const found = noCost();
  const { results } = await env.DB.prepare("select lower(hex(id)) as id from archived_run limit 1").all<{
    id: string;
  }>();
  const id = canonicalUuid(results[0]?.id ?? "");
  expect(await findArchivedRuns(runTools(workspace, { cost: found }), [id])).toHaveLength(1);
  expect([found.d1_round_trips, found.d1_rows_read <= 5]).toEqual([1, true]);
});
