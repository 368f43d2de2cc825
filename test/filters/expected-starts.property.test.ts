/** Runs are found by the time at which they were expected, whenever they started. */
import { env } from "cloudflare:test";
import fc from "fast-check";
import { expect, test } from "vitest";
import { insertRows } from "#db/sql";
import { print } from "#db/print";
import { flowRuns } from "#db/rows/flow-runs";
import { flow_run } from "#db/tables/flow-run";
import { DEFAULT_WORKSPACE } from "#env";
import { DAY } from "#lib/clock";
import { aFlow, api, type FlowRun, unique } from "../support/world";

const NOW = Math.floor(Date.now() / 1000) * 1_000_000;
const HOUR = DAY / 24;

interface Times {
  expected: number | null;
  start: number | null;
}

/** Times in hours before now. Some runs start early, some a day late, some never. */
const hour = fc.integer({ min: 0, max: 200 });
const aRun: fc.Arbitrary<Times> = fc.oneof(
  { weight: 6, arbitrary: hour.map((at) => ({ expected: at, start: Math.max(0, at - 1) })) },
  { weight: 2, arbitrary: hour.map((at) => ({ expected: at, start: null })) },
  { weight: 2, arbitrary: fc.record({ expected: hour, start: hour }) },
  { weight: 1, arbitrary: fc.constant({ expected: null, start: null }) },
);

const timeOf = (hours: number | null) => (hours === null ? null : NOW - hours * HOUR);
const print1 = (hours: number) => new Date((NOW - hours * HOUR) / 1000).toISOString();

async function write(flowId: string, runs: readonly Times[]): Promise<(Times & { id: string })[]> {
  const made = runs.map((times) => ({ ...times, id: crypto.randomUUID() }));
  const rows = made.map(({ id, expected, start }) =>
    flowRuns.blank({
      workspace_id: DEFAULT_WORKSPACE,
      id,
      created: NOW,
      updated: NOW,
      name: "run",
      flow_id: flowId,
      state_type: "COMPLETED",
      state_name: "Completed",
      expected_start_time: timeOf(expected),
      start_time: timeOf(start),
    }),
  );
  const { sql, params } = print(insertRows(flow_run, rows));
  await env.DB.prepare(sql)
    .bind(...params)
    .run();
  return made;
}

/** Expected last first, then by the id. Runs without a time are last. */
const inOrder = (runs: readonly (Times & { id: string })[]) =>
  runs.toSorted((a, b) => (a.expected ?? 1e9) - (b.expected ?? 1e9) || (a.id < b.id ? 1 : -1)).map(({ id }) => id);

test("filters, pages and histories find the runs that a plain comparison finds", async () => {
  const property = fc.asyncProperty(
    fc.array(aRun, { minLength: 1, maxLength: 30 }),
    hour,
    hour,
    fc.integer({ min: 1, max: 12 }),
    fc.integer({ min: 0, max: 12 }),
    async (times, one, other, limit, offset) => {
      const flowId = await aFlow(unique("flow"));
      const runs = await write(flowId, times);
      const [oldest, newest] = [Math.max(one, other), Math.min(one, other)];
      const flows = { id: { any_: [flowId] } };
      const expected = { after_: print1(oldest), before_: print1(newest) };
      const isWanted = ({ expected: at }: Times) => at !== null && at <= oldest && at >= newest;
      const find = async (body: Record<string, unknown>) =>
        (await api<FlowRun[]>("POST", "/flow_runs/filter", { flows, ...body })).body.map(({ id }) => id);

      const sort = "EXPECTED_START_TIME_DESC";
      expect(await find({ sort, limit, offset })).toEqual(inOrder(runs).slice(offset, offset + limit));
      const wanted = inOrder(runs.filter(isWanted));
      const flow_runs = { expected_start_time: expected };
      expect(await find({ sort, flow_runs })).toEqual(wanted);
      expect(await find({ sort, flow_runs, limit, offset })).toEqual(wanted.slice(offset, offset + limit));
      expect(new Set(await find({ sort: "NAME_ASC", flow_runs }))).toEqual(new Set(wanted));
      for (const field of ["after_", "before_"] as const) {
        const body = { flows, flow_runs: { expected_start_time: { [field]: expected[field] } } };
        const count = runs.filter(
          ({ expected: at }) => at !== null && (field === "after_" ? at <= oldest : at >= newest),
        );
        expect((await api<number>("POST", "/flow_runs/count", body)).body).toBe(count.length);
      }
      const window = { history_start: print1(oldest), history_end: print1(newest), history_interval_seconds: 3_600 };
      const { body } = await api<{ states: { count_runs: number }[] }[]>("POST", "/flow_runs/history", {
        ...window,
        flows,
      });
      const counted = body.flatMap(({ states }) => states).reduce((sum, { count_runs }) => sum + count_runs, 0);
      const inWindow = runs.filter(({ expected: at }) => at !== null && at <= oldest && at > newest);
      expect(counted).toBe(inWindow.length);
      const chart = await api<{ id: string }[]>("POST", "/ui/flow_runs/history", { flows, limit, offset });
      const timed = inOrder(runs.filter(({ expected: at }) => at !== null));
      expect(chart.body.map(({ id }) => id)).toEqual(timed.slice(offset, offset + limit));
    },
  );
  await fc.assert(property, { numRuns: 40 });
});
