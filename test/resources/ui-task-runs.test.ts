/** The routes under /ui/task_runs, and what they read. */
import { env } from "cloudflare:test";
import { describe, expect, test } from "vitest";
import { DEFAULT_WORKSPACE } from "#env";
import { FilterFields, toFilters } from "#filters/joins";
import { earliestId } from "#lib/clock";
import { selectCountsByState } from "#resources/ui/task-run-store";
import { costOf, TELL_COST } from "../support/cost";
import { planOf } from "../support/plans";
import { aFlowRun, api, unique } from "../support/world";

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;

/** Creates a task run through the API that starts at a time, and then ends if `end` says how. */
async function aTaskRun(fields: Record<string, unknown>, started: number | null, end?: string): Promise<string> {
  const task = { task_key: "t", dynamic_key: crypto.randomUUID(), name: unique("task"), ...fields };
  const { body } = await api<{ id: string }>("POST", "/task_runs/", task);
  const become = (type: string) => api("POST", `/task_runs/${body.id}/set_state`, { state: { type }, force: true });
  if (started === null) return body.id;
  await become("RUNNING");
  if (end) await become(end);
  await env.DB.prepare("update task_run set start_time = ? where name = ?")
    .bind(started * 1000, task.name)
    .run();
  return body.id;
}

describe("GET /ui/task_runs/{id}", () => {
  test("is the task run with the name of its flow run, and with named inputs", async () => {
    const run = await aFlowRun({ name: unique("run") });
    const other = crypto.randomUUID();
    const task_inputs = {
      x: [{ input_type: "task_run", id: other }],
      y: [
        { input_type: "parameter", name: "p" },
        { input_type: "constant", type: "int" },
      ],
    };
    const id = await aTaskRun({ flow_run_id: run.id, task_inputs, name: "task" }, Date.now(), "COMPLETED");
    const shown = (await api("GET", `/ui/task_runs/${id}`)).body;
    expect(shown).toMatchObject({ id, name: "task", flow_run_name: run.name, task_inputs });
    expect({ ...shown, flow_run_name: undefined }).toEqual({
      ...(await api("GET", `/task_runs/${id}`)).body,
      flow_run_name: undefined,
    });
  });

  test("has no name if it has no flow run, and is a 404 if it does not exist", async () => {
    const id = await aTaskRun({}, null);
    expect((await api("GET", `/ui/task_runs/${id}`)).body).toMatchObject({ id, flow_run_name: null });
    const { status, body } = await api("GET", `/ui/task_runs/${crypto.randomUUID()}`);
    expect([status, body]).toEqual([404, { detail: "Task not found" }]);
  });

  test("is one statement if the task run has ended", async () => {
    const run = await aFlowRun();
    const id = await aTaskRun({ flow_run_id: run.id }, Date.now(), "COMPLETED");
    const { headers } = await api("GET", `/ui/task_runs/${id}`, undefined, TELL_COST);
    expect([costOf(headers, "queries"), costOf(headers, "rows_read") <= 4]).toEqual([1, true]);
  });
});

test("POST /ui/task_runs/count has every type of state", async () => {
  const run = await aFlowRun();
  await aTaskRun({ flow_run_id: run.id }, Date.now(), "COMPLETED");
  await aTaskRun({ flow_run_id: run.id }, Date.now());
  await aTaskRun({ flow_run_id: run.id }, null);
  const task_runs = { flow_run_id: { any_: [run.id] } };
  const { body } = await api("POST", "/ui/task_runs/count", { task_runs });
  const none = { SCHEDULED: 0, FAILED: 0, CANCELLED: 0, CRASHED: 0, PAUSED: 0, CANCELLING: 0 };
  expect(body).toEqual({ ...none, PENDING: 1, COMPLETED: 1, RUNNING: 1 });
});

describe("POST /ui/task_runs/dashboard/counts", () => {
  type Counts = { completed: number; failed: number }[];
  const total = (counts: Counts) => [
    counts.reduce((sum, { completed }) => sum + completed, 0),
    counts.reduce((sum, { failed }) => sum + failed, 0),
  ];
  const end = Math.floor(Date.now() / MINUTE_MS) * MINUTE_MS;
  const start = end - 20 * MINUTE_MS;
  const window = { after_: new Date(start).toISOString(), before_: new Date(end - 1).toISOString() };

  test("counts ended task runs in the bucket of their start", async () => {
    const run = await aFlowRun();
    const at = (minute: number, how?: string) =>
      aTaskRun({ flow_run_id: run.id }, start + minute * MINUTE_MS + 30_000, how);
    await at(0, "COMPLETED");
    await at(0, "FAILED");
    await at(7, "CRASHED");
    await at(19, "CANCELLED");
    await at(19);
    await at(-5, "COMPLETED");
    for (const named of [true, false]) {
      const task_runs = { start_time: window, ...(named && { flow_run_id: { any_: [run.id] } }) };
      const flow_runs = named ? undefined : { name: { any_: [run.name] } };
      const { body } = await api<Counts>("POST", "/ui/task_runs/dashboard/counts", { task_runs, flow_runs });
      expect(body).toHaveLength(20);
      expect([body[0], body[7], body[19]]).toEqual([
        { completed: 1, failed: 1 },
        { completed: 0, failed: 1 },
        { completed: 1, failed: 0 },
      ]);
      expect(total(body)).toEqual([2, 2]);
    }
  });

  test.for([{}, { task_runs: {} }, { task_runs: { start_time: { before_: window.after_ } } }, { work_queues: {} }])(
    "%j is refused: it has no beginning",
    async (body) => {
      expect((await api("POST", "/ui/task_runs/dashboard/counts", body)).status).toBe(422);
    },
  );

  test("of an empty time is empty", async () => {
    const start_time = { after_: "2026-01-02T00:00:00Z", before_: "2026-01-01T00:00:00Z" };
    const { body } = await api<Counts>("POST", "/ui/task_runs/dashboard/counts", { task_runs: { start_time } });
    expect([body.length, total(body)]).toEqual([20, [0, 0]]);
  });

  const idAt = (time: number, index: number) => earliestId(time * 1000).slice(0, 24) + String(index).padStart(12, "0");

  test("reads no task runs that started in time, long ago", async () => {
    const run = await aFlowRun();
    const task_runs = { start_time: window };
    const read = async () => {
      const { headers } = await api("POST", "/ui/task_runs/dashboard/counts", { task_runs }, TELL_COST);
      return costOf(headers, "rows_read");
    };
    await aTaskRun({ flow_run_id: run.id, id: idAt(start, 1) }, start, "COMPLETED");
    const before = await read();
    for (let index = 0; index < 30; index++)
      await aTaskRun({ id: idAt(start - 3 * DAY_MS, index) }, start - 3 * DAY_MS, "COMPLETED");
    await env.DB.prepare("update task_run set expected_start_time = start_time where flow_run_id is null").run();
    expect(await read()).toBe(before);
  });

  test("counts a task run that started days after it got its id", async () => {
    const run = await aFlowRun();
    await aTaskRun({ flow_run_id: run.id, id: idAt(start - 3 * DAY_MS, 40) }, start, "FAILED");
    const flow_runs = { name: { any_: [run.name] } };
    const { body } = await api<Counts>("POST", "/ui/task_runs/dashboard/counts", {
      task_runs: { start_time: window },
      flow_runs,
    });
    expect(total(body)).toEqual([0, 1]);
  });

  test("reads a range of the table's key, and the index of the others", async () => {
    const filters = toFilters({ task_runs: FilterFields.task_runs.parse({ start_time: window }) });
    const plan = await planOf(selectCountsByState(filters, DEFAULT_WORKSPACE));
    expect(plan).toContain("PRIMARY KEY (workspace_id=? AND id>?)");
    expect(plan).toContain("task_run_waited (workspace_id=?)");
    expect(plan).not.toContain("SCAN task_run");
  });
});
