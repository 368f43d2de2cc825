import { env } from "cloudflare:test";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { readStates } from "#db/short/states";
import { taskRow, taskRowsOf } from "../support/task-rows";
import { aSegment, deliver, taskRunsOf } from "./recording";
import { taskRunReports } from "./world";

const START = 1_790_000_000_000_000;
const LIFE = ["PENDING", "RUNNING", "SCHEDULED", "RUNNING", "COMPLETED"].map((type, index) => ({
  type,
  // Two states have the same time, so their types order them.
  at: START + 10 * Math.min(index, 3),
}));

/** Writes the states of the task runs as they were stored before there was a short form. */
async function makeOld(flowRunId: string): Promise<void> {
  for (const row of await taskRowsOf(flowRunId))
    await env.DB.prepare("update task_run set states = ? where id = unhex(?, '-')")
      .bind(JSON.stringify(readStates(row)), row.id)
      .run();
}

test("reports that are merged with states in the old form give the same rows, in any order", async () => {
  const order = fc.shuffledSubarray([0, 1, 2, 3, 4, 0, 3], { minLength: 7 });
  await fc.assert(
    fc.asyncProperty(
      order,
      fc.integer({ min: 1, max: 6 }),
      fc.integer({ min: 1, max: 6 }),
      async (indices, at, again) => {
        const flowRunId = crypto.randomUUID();
        const reports = taskRunReports(LIFE, { flowRunId });
        const [first, second] = [at, again].toSorted((a, b) => a - b);
        const told = indices.flatMap((index) => reports[index] ?? []);
        for (const part of [told.slice(0, first), told.slice(first, second), told.slice(second)]) {
          if (part.length > 0) await deliver(await aSegment(part));
          // Every second part finds the rows in the old form.
          if (part.length % 2 === 0) await makeOld(flowRunId);
        }
        const [row] = await taskRunsOf(flowRunId);
        expect(row?.states.map(({ id }) => id)).toEqual(reports.map(({ id }) => id));
        expect(row?.states.map(({ type, timestamp }) => ({ type, at: timestamp }))).toEqual(LIFE);
        expect(row).toMatchObject({ state_id: reports[4]?.id, state_type: "COMPLETED", run_count: 2 });
        for (const { state_details, message } of row?.states ?? [])
          expect([state_details, message]).toEqual([{ task_run_id: row?.id, flow_run_id: flowRunId }, ""]);
      },
    ),
    { numRuns: 15 },
  );
}, 60_000);

test("a state names the flow run of its report, although a later report names another one", async () => {
  const [first, second] = [crypto.randomUUID(), crypto.randomUUID()];
  const ways = [
    [null, first],
    [first, null],
    [first, second],
  ] as const;
  for (const [before, after] of ways) {
    const runId = crypto.randomUUID();
    const early = taskRunReports(LIFE.slice(0, 2), { id: runId, flowRunId: before });
    const late = taskRunReports(LIFE, { id: runId, flowRunId: after }).slice(2);
    for (const part of [early, late.slice(0, 1), late.slice(1)]) await deliver(await aSegment(part));
    const row = await taskRow(runId);
    expect(row.flow_run_id).toBe(after);
    expect(readStates(row).map(({ state_details }) => state_details.flow_run_id)).toEqual([
      ...early.map(() => before),
      ...late.map(() => after),
    ]);
  }
});
