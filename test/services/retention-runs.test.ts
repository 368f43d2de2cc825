import { env } from "cloudflare:test";
import { sql } from "drizzle-orm";
import fc from "fast-check";
import { beforeEach, describe, expect, test, vi } from "vitest";
import { pack } from "#db/packed";
import { insertRows } from "#db/sql";
import { flow_run, flow_run_input, flow_run_state } from "#db/tables/flow-run";
import { deleteSegments, log_minute, log_segment, minuteOf } from "#db/tables/log";
import { task_run } from "#db/tables/task-run";
import { systemIds } from "#lib/clock";
import { deleteFlowRuns } from "#resources/flow-runs/delete-flow-run";
import { removeOrphanedLogs, selectRuns as selectLoggedRuns, selectSegments } from "#services/retention-leftovers";
import { removeOldRuns, selectRuns } from "#services/retention-runs";
import { planOf } from "../support/plans";
import { aFlowRun, api, propose, WORKSPACE } from "../support/world";
import { DAY, empty, failingD1, type Fate, HOUR, NOW, rowsOf, toolsAt, untilDone } from "./retention-world";

const ids = systemIds();
const TABLES = ["flow_run", "flow_run_state", "flow_run_input", "task_run", "log_segment", "log_minute"] as const;
const ON = {
  PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED: "flow_runs",
  PREFECT_SERVER_SERVICES_DB_VACUUM_BATCH_SIZE: "2",
  SLUICE_ARCHIVE_RUNS: "false",
};
const CUTOFF = NOW - 90 * DAY;

beforeEach(async () => {
  await env.DB.exec("drop trigger if exists stuck");
  await empty(...TABLES, "event_segment", "event_resource");
  vi.spyOn(console, "error").mockReturnValue(undefined);
});

interface Run {
  id: string;
  workspace: string;
  type: string;
  start: number | null;
  expected: number;
  end: number | null;
  parent: Run | null;
}

/** Writes a run with its states, an input, a task run for each of its subflows, and logs. */
async function write(run: Run, subflows: readonly Run[]): Promise<void> {
  const { id, workspace, end, expected } = run;
  const first = Math.min(expected, end ?? expected);
  const states = [ids.ordered(first), ids.ordered(end ?? expected)];
  const stamps = { created: expected, updated: expected };
  const common = { workspace_id: workspace, ...stamps, name: "n", tags: "[]", labels: "{}", empirical_policy: "{}" };
  const times = {
    run_count: 1,
    total_run_time: 0,
    start_time: run.start,
    expected_start_time: expected,
    end_time: end,
  };
  const logs = [expected, expected + 1, expected + DAY / 24].map((first_timestamp, index) => ({
    workspace_id: workspace,
    run_id: id,
    first_timestamp,
    digest: `digest-${index}`,
    last_timestamp: first_timestamp,
    min_level: 20,
    max_level: 20,
    record_count: 1,
    records: JSON.stringify([
      { id: ids.ordered(first_timestamp), name: "l", level: 20, message: "m", timestamp: first_timestamp },
    ]),
  }));
  await toolsAt(NOW).db.batch([
    insertRows(flow_run, [
      {
        ...common,
        ...times,
        id,
        flow_id: "f",
        parameters: "{}",
        context: "{}",
        auto_scheduled: 0,
        parent_task_run_id: run.parent ? taskOf(run) : null,
        state_id: states[1] ?? null,
        state_type: run.type,
        state_name: run.type,
        state_timestamp: end ?? expected,
        state_ids: JSON.stringify(states),
      },
    ]),
    insertRows(
      flow_run_state,
      states.map((state) => ({
        id: state,
        workspace_id: workspace,
        flow_run_id: id,
        type: run.type,
        name: run.type,
        timestamp: expected,
        state_details: "{}",
      })),
    ),
    insertRows(flow_run_input, [
      { workspace_id: workspace, flow_run_id: id, key: "k", id: "i", ...stamps, value: "v" },
    ]),
    insertRows(
      task_run,
      subflows.map((subflow) => ({
        ...common,
        ...times,
        id: taskOf(subflow),
        flow_run_id: id,
        task_key: taskOf(subflow),
        dynamic_key: "0",
        task_inputs: "{}",
        states: "[]",
        flow_run_run_count: 1,
        key_hash: 1,
      })),
    ),
    insertRows(log_segment, logs),
    insertRows(
      log_minute,
      [...new Set(logs.map((log) => minuteOf(log.first_timestamp)))].map((minute) => ({
        workspace_id: workspace,
        minute,
        run_id: id,
      })),
    ),
  ]);
}

/** The id of the task run of a subflow. */
const taskOf = (run: Run): string => `ffffffff${run.id.slice(8)}`;

/** The run to which a row belongs. */
const ownerOf = (table: string, row: Record<string, unknown>): unknown =>
  row["flow_run_id"] ?? (table === "flow_run" ? row["id"] : row["run_id"]);

const snapshot = () => Promise.all(TABLES.map(async (table) => [table, await rowsOf(table)] as const));

/** The expected rows if only some runs stay: their rows unchanged, but without removed parents. */
function without(gone: ReadonlySet<string>, before: Awaited<ReturnType<typeof snapshot>>, runs: readonly Run[]) {
  const orphans = new Set(runs.filter(({ parent }) => parent && gone.has(parent.id)).map(({ id }) => id));
  return before.map(
    ([table, rows]) =>
      [
        table,
        rows
          .filter((row) => !gone.has(String(ownerOf(table, row))))
          .map((row) =>
            table === "flow_run" && orphans.has(String(row["id"])) ? { ...row, parent_task_run_id: null } : row,
          ),
      ] as const,
  );
}

/**
 * The rule for each run: a run that ended before the cutoff and has no parent is removed. Then the rule applies to its
 * subflows.
 */
function doomed(runs: readonly Run[]): Set<string> {
  const gone = new Set<string>();
  for (let grown = true; grown;) {
    const more = runs.filter(
      ({ id, type, end, parent }) =>
        !gone.has(id) &&
        ["COMPLETED", "FAILED", "CRASHED", "CANCELLED"].includes(type) &&
        end !== null &&
        end < CUTOFF &&
        (!parent || gone.has(parent.id)),
    );
    for (const { id } of more) gone.add(id);
    grown = more.length > 0;
  }
  return gone;
}

const aRun = fc.record({
  workspace: fc.nat(1),
  type: fc.constantFrom(
    "COMPLETED",
    "COMPLETED",
    "FAILED",
    "CRASHED",
    "CANCELLED",
    "RUNNING",
    "PAUSED",
    "SCHEDULED",
    "CANCELLING",
    "PENDING",
  ),
  ended: fc.option(fc.constantFrom(1, 60, 80, 95, 100, 400), { freq: 5 }),
  /** The hours from the expected start to the end; negative if the run ended before its expected start. */
  lasted: fc.constantFrom(0, 1, 24 * 30, -24 * 200),
  began: fc.boolean(),
  parent: fc.option(fc.nat(20)),
});
const someFates = fc.array(fc.constantFrom<Fate>("made", "made", "made", "lost", "made, but the answer is lost"), {
  maxLength: 30,
});

test(
  "for random rows, the runs of the rule are removed with all their rows, and no others, whichever calls fail",
  { timeout: 120_000 },
  async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(aRun, { minLength: 1, maxLength: 12 }), someFates, async (given, fates) => {
        await empty(...TABLES);
        const workspaces = [crypto.randomUUID(), crypto.randomUUID()];
        const runs: Run[] = [];
        for (const { workspace, type, ended, lasted, began, parent } of given) {
          const end = ended === null ? null : NOW - ended * DAY;
          const expected = (end ?? NOW - 200 * DAY) - lasted * HOUR;
          const above = parent === null ? undefined : runs[parent];
          const own = above?.workspace ?? workspaces[workspace] ?? "";
          const start = began && lasted >= 0 ? expected : null;
          runs.push({ id: crypto.randomUUID(), workspace: own, type, start, expected, end, parent: above ?? null });
        }
        for (const run of runs)
          await write(
            run,
            runs.filter(({ parent }) => parent === run),
          );
        const before = await snapshot();

        const d1 = failingD1(fates);
        for (const later of [0, 25 * HOUR, 50 * HOUR, 75 * HOUR]) {
          await untilDone(() => removeOldRuns(toolsAt(NOW + later, ON, d1)));
        }

        const after = await snapshot();
        expect(after).toEqual(without(doomed(runs), before, runs).map(([table, rows]) => [table, sorted(rows)]));
        expect(await rowsOf("event_segment")).toEqual([]);
      }),
      { numRuns: 12 },
    );
  },
);

const sorted = (rows: readonly Record<string, unknown>[]) =>
  rows.toSorted((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));

const anOldRun = (fields: Partial<Run> = {}): Run => ({
  id: crypto.randomUUID(),
  workspace: WORKSPACE,
  type: "COMPLETED",
  start: CUTOFF - DAY,
  expected: CUTOFF - DAY,
  end: CUTOFF - 1,
  parent: null,
  ...fields,
});

test.for([
  ["no setting is given", {}, 1],
  ["it is switched off", { PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED: "false" }, 1],
  ["only orphans and events are listed", { PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED: "orphans,events" }, 1],
  ["runs are listed", { PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED: "events, flow_runs" }, 0],
  ["everything is switched on", { PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED: "true" }, 0],
  ["runs are kept for longer", { ...ON, PREFECT_SERVER_SERVICES_DB_VACUUM_RETENTION_PERIOD: 91 * 86_400 }, 1],
] as const)("if %s, with settings %j the number of remaining old runs is %d", async ([, vars, left]) => {
  await write(anOldRun(), []);
  await untilDone(() => removeOldRuns(toolsAt(NOW, vars)));
  expect(await rowsOf("flow_run")).toHaveLength(left);
});

describe("a round over runs", () => {
  test("removes subflows of subflows, and keeps subflows that have not ended without a parent", async () => {
    const top = anOldRun();
    const middle = anOldRun({ parent: top });
    const lowest = anOldRun({ parent: middle });
    const running = anOldRun({ parent: middle, type: "RUNNING", end: null });
    await write(top, [middle]);
    await write(middle, [lowest, running]);
    await write(lowest, []);
    await write(running, []);
    await untilDone(() => removeOldRuns(toolsAt(NOW, ON)));
    expect(await rowsOf("flow_run")).toMatchObject([{ id: running.id, parent_task_run_id: null }]);
  });

  test("reads the runs that stay one page at a time, and reaches its end", async () => {
    const many = Array.from({ length: 2_500 }, (_, index) => ({
      id: `run-${index}`,
      start: CUTOFF - DAY - (index % 3),
    }));
    await env.DB.prepare(
      `insert into flow_run (workspace_id, id, created, updated, name, flow_id, parameters, context, empirical_policy, tags,
         labels, auto_scheduled, state_ids, run_count, total_run_time, state_type, expected_start_time)
       select ?, value ->> 'id', 1, 1, 'n', 'f', '{}', '{}', '{}', '[]', '{}', 0, '[]', 0, 0, 'SCHEDULED', value ->> 'start'
       from json_each(?)`,
    )
      .bind(WORKSPACE, JSON.stringify(many))
      .run();
    const old = anOldRun();
    await write(old, []);
    const tools = toolsAt(NOW, ON);
    await removeOldRuns(tools);
    expect(tools.db.cost.d1_rows_read).toBeLessThan(20_000);
    await untilDone(() => removeOldRuns(toolsAt(NOW, ON)));
    expect(await rowsOf("flow_run")).toHaveLength(2_500);
    const idle = toolsAt(NOW + HOUR - 1, ON);
    await removeOldRuns(idle);
    expect([idle.db.cost.d1_queries, idle.db.cost.d1_rows_written]).toEqual([2, 0]);
  });

  test("continues if its runs cannot be removed, and tries them again later", async () => {
    await write(anOldRun({ start: CUTOFF - 2 * DAY }), []);
    await write(anOldRun(), []);
    await env.DB.exec(
      "create trigger stuck before delete on flow_run when old.start_time < " +
        `${CUTOFF - DAY} begin select raise(abort, 'as it was meant to'); end`,
    );
    const one = { ...ON, PREFECT_SERVER_SERVICES_DB_VACUUM_BATCH_SIZE: "1" };
    await untilDone(() => removeOldRuns(toolsAt(NOW, one)));
    expect(await rowsOf("flow_run")).toMatchObject([{ start_time: CUTOFF - 2 * DAY }]);
    expect(await rowsOf("log_segment")).toHaveLength(3);
    const stuck = (await rowsOf("flow_run"))[0]?.["id"];
    // Other tests leave dead letters of other runs.
    const letters = (await rowsOf("dead_letter")).filter(({ key }) => key === stuck);
    expect(letters).toMatchObject([{ queue: "retention-runs", reason: expect.stringContaining("as it was meant to") }]);
    await env.DB.exec("drop trigger stuck");
    await untilDone(() => removeOldRuns(toolsAt(NOW + HOUR, one)));
    expect(await rowsOf("flow_run")).toEqual([]);
  });

  test("one run that cannot be removed does not prevent the removal of the other runs of its transaction", async () => {
    const [stuck, ...others] = Array.from({ length: 20 }, () => anOldRun());
    for (const run of [stuck, ...others]) if (run) await write(run, []);
    await env.DB.exec(
      `create trigger stuck before delete on flow_run when old.id = '${stuck?.id}' begin select raise(abort, 'no'); end`,
    );
    await untilDone(() => removeOldRuns(toolsAt(NOW, ON)));
    await env.DB.exec("drop trigger stuck");
    expect((await rowsOf("flow_run")).map(({ id }) => id)).toEqual([stuck?.id]);
  });

  test("finds the runs by their start", async () => {
    const stretch = { from: -9e18, until: CUTOFF, cutoff: CUTOFF, most: 1_000 };
    for (const after of [null, { at: CUTOFF - DAY, id: "x" }]) {
      const plan = await planOf(selectRuns(WORKSPACE, { ...stretch, now: NOW, after }));
      expect(plan).toMatch(/SEARCH r USING INDEX flow_run_start \(workspace_id=\? AND <expr>>\? AND <expr><\?\)/);
      expect(plan).not.toMatch(/TEMP B-TREE/);
    }
  });
});

test("a run that starts again before it is deleted is kept whole", async () => {
  const run = await aFlowRun();
  for (const type of ["RUNNING", "COMPLETED"]) await propose(run.id, { type });
  const before = await snapshot();
  const gone = await deleteFlowRuns(toolsAt(Date.now() * 1000), [run.id], sql`r.state_type = 'FAILED'`);
  expect([gone, await snapshot()]).toEqual([[], before]);
  expect(await deleteFlowRuns(toolsAt(Date.now() * 1000), [run.id], sql`r.state_type = 'COMPLETED'`)).toEqual([run.id]);
  expect((await api("GET", `/flow_runs/${run.id}`)).status).toBe(404);
});

describe("orphaned logs", () => {
  test.for([
    ["logs of an existing run", "kept", true, {}],
    ["logs of a deleted run", "removed", false, {}],
    ["logs of a task run without a flow run", "kept", false, { no_flow_run: 1, task_run_id: "t" }],
    ["packed logs of an existing run", "kept", true, {}, "packed"],
    ["packed logs of a deleted run", "removed", false, {}, "packed"],
    ["packed logs of a task run without a flow run", "kept", false, { no_flow_run: 1, task_run_id: "t" }, "packed"],
    ["logs that cannot be read", "kept", false, {}, "damaged"],
  ] as const)("%s are %s", async ([, verb, isThere, record, form]) => {
    const run = anOldRun();
    await write(run, []);
    if (!isThere) await env.DB.prepare("delete from flow_run").run();
    const records = JSON.stringify([{ message: '"no_flow_run":1', ...record }]);
    if (form === undefined) await env.DB.prepare("update log_segment set records = ?").bind(records).run();
    else
      await env.DB.prepare("update log_segment set records = unhex(?)")
        .bind(form === "packed" ? pack(records) : "ff00")
        .run();
    const before = await snapshot();
    await untilDone(() => removeOrphanedLogs(toolsAt(NOW, ON)));
    const after = await snapshot();
    const ofLogs = (all: typeof after) => all.filter(([table]) => table.startsWith("log_"));
    expect(ofLogs(after)).toEqual(
      verb === "kept"
        ? ofLogs(before)
        : [
            ["log_segment", []],
            ["log_minute", []],
          ],
    );
    const ofRuns = (all: typeof after) => all.filter(([table]) => !table.startsWith("log_"));
    expect(ofRuns(after)).toEqual(ofRuns(before));
  });

  test("are found among the logs of many runs, and are kept if their removal is switched off", async () => {
    const orphans = Array.from({ length: 1_200 }, (_, index) => `gone-${index}`);
    await env.DB.prepare(
      `insert into log_segment select ?, r.value, s.value, 'd', s.value, 20, 20, 1, '[{"level":20}]'
       from json_each(?) r, json_each('[1,2,3]') s`,
    )
      .bind(WORKSPACE, JSON.stringify(orphans))
      .run();
    const kept = anOldRun();
    await write(kept, []);
    await removeOrphanedLogs(toolsAt(NOW));
    expect(await rowsOf("log_segment")).toHaveLength(3_603);
    await untilDone(() => removeOrphanedLogs(toolsAt(NOW, ON)));
    expect(new Set((await rowsOf("log_segment")).map((row) => row["run_id"]))).toEqual(new Set([kept.id]));
    const idle = toolsAt(NOW + 23 * HOUR, ON);
    await removeOrphanedLogs(idle);
    expect([idle.db.cost.d1_rows_read, idle.db.cost.d1_rows_written]).toEqual([1, 0]);
  });

  test("of a run with thousands of segments are removed, and logs that arrived meanwhile are kept", async () => {
    const record = (fields: object) => JSON.stringify([{ level: 20, message: "m", ...fields }]);
    await env.DB.batch([
      env.DB.prepare(
        `with n(n) as (select 0 union all select n + 1 from n where n < 2499)
         insert into log_segment select ?, 'gone', n * 1000000, 'd', n * 1000000, 20, 20, 1, ? from n`,
      ).bind(WORKSPACE, record({})),
      env.DB.prepare(
        `with n(n) as (select 0 union all select n + 1 from n where n < 2499)
         insert into log_segment select ?, 'task', n * 1000000, 'd', n * 1000000, 20, 20, 1, ? from n`,
      ).bind(WORKSPACE, record({ no_flow_run: 1 })),
      env.DB.prepare(
        `insert into log_minute select distinct workspace_id, first_timestamp - first_timestamp % 60000000, run_id from log_segment`,
      ),
    ]);
    const minutes = await rowsOf("log_minute");
    await untilDone(() => removeOrphanedLogs(toolsAt(NOW, ON)));
    expect((await rowsOf("log_segment")).filter((row) => row["run_id"] === "task")).toHaveLength(2_500);
    expect(await rowsOf("log_segment")).toHaveLength(2_500);
    expect(await rowsOf("log_minute")).toEqual(minutes.filter((row) => row["run_id"] === "task"));
  });

  test("are removed by their keys, with the minutes that have no other segment, unless the run exists now", async () => {
    const run = anOldRun();
    const keys = [1, 2].map((first_timestamp) => ({ run_id: run.id, first_timestamp, digest: "d" }));
    const insert = env.DB.prepare(`insert into log_segment values (?, ?, ?, ?, 1, 20, 20, 1, '[]')`);
    await env.DB.batch([
      ...[1, 2].map((time) => insert.bind(WORKSPACE, run.id, time, "d")),
      insert.bind(WORKSPACE, run.id, 2, "arrived meanwhile"),
      env.DB.prepare("insert into log_minute values (?, 0, ?)").bind(WORKSPACE, run.id),
    ]);
    const { db } = toolsAt(NOW);
    await db.batch(deleteSegments(WORKSPACE, keys, () => sql`false`));
    expect(await rowsOf("log_segment")).toHaveLength(3);
    await db.batch(deleteSegments(WORKSPACE, keys, () => sql`true`));
    expect(await rowsOf("log_segment")).toMatchObject([{ digest: "arrived meanwhile" }]);
    expect(await rowsOf("log_minute")).toHaveLength(1);
    await db.batch(
      deleteSegments(WORKSPACE, [{ run_id: run.id, first_timestamp: 2, digest: "arrived meanwhile" }], () => sql`true`),
    );
    expect(await rowsOf("log_minute")).toEqual([]);
    const [segments, minutes] = await Promise.all(deleteSegments(WORKSPACE, keys, () => sql`true`).map(planOf));
    expect(segments).toMatch(
      /SEARCH log_segment USING PRIMARY KEY \(workspace_id=\? AND run_id=\? AND first_timestamp=\? AND digest=\?\)/,
    );
    expect(minutes).toMatch(/SEARCH log_minute USING PRIMARY KEY \(workspace_id=\? AND minute=\? AND run_id=\?\)/);
    const next = await planOf(selectSegments(WORKSPACE, ["a", "b"], keys[0]));
    expect(next).toMatch(/SEARCH s USING PRIMARY KEY \(workspace_id=\? AND run_id=\?\)/);
    expect(next).not.toMatch(/TEMP B-TREE/);
  });

  test("of a run with very many logs are found by one seek for the run", async () => {
    const plan = await planOf(selectLoggedRuns(WORKSPACE, "x"));
    expect(plan).toMatch(/SEARCH s USING PRIMARY KEY \(workspace_id=\? AND run_id>\?\)/);
    expect(plan).not.toMatch(/SCAN (s|r)\b/);
  });
});
