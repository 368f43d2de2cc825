import fc from "fast-check";
import { env } from "cloudflare:test";
import { expect, test } from "vitest";
import { Database } from "#db/database";
import { noCost } from "#lib/cost";
import { FlowRunStore } from "#db/rows/flow-runs";
import { countOldRuns } from "#services/database";
import { makeTools } from "#tools";
import { aFlowRun, api, WORKSPACE } from "../support/world";

const NOW = 1_800_000_000_000_000;
const MINUTE = 60_000_000;

/** Inserts runs into D1 that start so many minutes after `NOW`, or that have no start. */
async function insertRuns(workspace: string, ids: readonly string[], minute: number | null): Promise<void> {
  await env.DB.prepare(
    `insert into flow_run (workspace_id, id, created, updated, name, flow_id, parameters, context, empirical_policy, tags,
       labels, auto_scheduled, state_ids, run_count, total_run_time, expected_start_time)
     select ?, value, 1, 1, 'n', 'f', '{}', '{}', '{}', '[]', '{}', 0, '[]', 0, 0, ? from json_each(?)`,
  )
    .bind(workspace, minute === null ? null : NOW + minute * MINUTE, JSON.stringify(ids))
    .run();
}

const countAll = (workspace: string) =>
  new FlowRunStore({ db: new Database(env.DB, noCost()), workspaceId: workspace }).countAll();
const countedOne = async (workspace: string) =>
  (await env.DB.prepare("select count(*) as n from flow_run where workspace_id = ?").bind(workspace).first("n")) ?? 0;
const age = (minute: number) =>
  countOldRuns({ ...makeTools(env, WORKSPACE, () => {}), clock: () => NOW + minute * MINUTE });
const someIds = (count: number) => Array.from({ length: count }, () => crypto.randomUUID());

const aMinute = fc.option(fc.integer({ min: -5, max: 5 }));
const aStep = fc.oneof(
  fc.record({ do: fc.constant("insert" as const), at: aMinute, many: fc.integer({ min: 1, max: 3 }) }),
  fc.record({ do: fc.constant("crowd" as const), at: fc.integer({ min: -5, max: 2 }) }),
  fc.record({ do: fc.constant("start" as const), at: aMinute, which: fc.nat(2_000) }),
  fc.record({ do: fc.constant("expect" as const), at: aMinute, which: fc.nat(2_000) }),
  fc.record({ do: fc.constant("delete" as const), which: fc.nat(2_000), many: fc.integer({ min: 1, max: 3 }) }),
  fc.record({ do: fc.constant("age" as const), at: fc.integer({ min: -6, max: 6 }) }),
);

test(
  "after any inserts, changes and deletions before or after the counted minutes, the count is the number of rows",
  { timeout: 60_000 },
  async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(aStep, { minLength: 4, maxLength: 14 }), async (steps) => {
        const workspace = crypto.randomUUID();
        const ids = someIds(1_000);
        await insertRuns(workspace, ids, -6);
        for (const step of steps) {
          const at = "at" in step && step.at !== null ? NOW + step.at * MINUTE : null;
          if (step.do === "age") await age(step.at);
          if (step.do === "insert" || step.do === "crowd") {
            const more = someIds("many" in step ? step.many : 1_000);
            ids.push(...more);
            await insertRuns(workspace, more, step.at);
          }
          if (step.do === "start" || step.do === "expect") {
            const column = step.do === "start" ? "start_time" : "expected_start_time";
            await env.DB.prepare(`update flow_run set ${column} = ? where workspace_id = ? and id = ?`)
              .bind(at, workspace, ids[step.which % ids.length] ?? "")
              .run();
          }
          if (step.do === "delete") {
            const gone = ids.splice(step.which % ids.length, step.many);
            await env.DB.prepare(
              "delete from flow_run where workspace_id = ? and id in (select value from json_each(?))",
            )
              .bind(workspace, JSON.stringify(gone))
              .run();
          }
          expect(await countAll(workspace)).toBe(ids.length);
        }
        await env.DB.prepare("delete from flow_run where workspace_id = ?").bind(workspace).run();
        expect(await countAll(workspace)).toBe(0);
      }),
      { numRuns: 15 },
    );
  },
);

test("counted runs are not read again, and a small number of runs has no row of counts", async () => {
  const workspace = crypto.randomUUID();
  await insertRuns(workspace, someIds(999), -5);
  await age(0);
  const kept = () => env.DB.prepare("select before, count from flow_run_count where workspace_id = ?").bind(workspace);
  expect(await kept().first()).toBeNull();
  await insertRuns(workspace, someIds(4_001), -5);
  await Promise.all([age(0), age(0)]);
  expect(await kept().first()).toEqual({ before: NOW - MINUTE, count: 5_000 });
  const cost = noCost();
  expect(await new FlowRunStore({ db: new Database(env.DB, cost), workspaceId: workspace }).countAll()).toBe(5_000);
  expect(cost.d1_rows_read).toBeLessThan(20);
  expect(await countedOne(workspace)).toBe(5_000);
});

test("the life of a run within a minute changes no stored count", async () => {
  await insertRuns(WORKSPACE, someIds(1_000), -5_000_000);
  await countOldRuns(makeTools(env, WORKSPACE, () => {}));
  const { body: before } = await api<number>("POST", "/flow_runs/count", {});
  const run = await aFlowRun();
  const propose = (type: string) =>
    api("POST", `/flow_runs/${run.id}/set_state`, { state: { type } }, { "x-sluice-cost": "1" });
  expect((await propose("RUNNING")).headers.get("x-sluice-cost")).toMatch(/rows_written=3;/);
  expect((await api<number>("POST", "/flow_runs/count", {})).body).toBe(before + 1);
  expect((await api<number>("POST", "/flow_runs/count", { flow_runs: { id: { any_: [run.id] } } })).body).toBe(1);
  expect((await api<number>("POST", "/flow_runs/count", { flow_runs: {}, flows: null })).body).toBe(before + 1);
  expect((await api<{ count: number }>("POST", "/flow_runs/paginate", { limit: 1 })).body.count).toBe(before + 1);
  await api("DELETE", `/flow_runs/${run.id}`);
  expect((await api<number>("POST", "/flow_runs/count", {})).body).toBe(before);
});
