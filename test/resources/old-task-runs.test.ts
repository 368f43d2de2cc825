import { env } from "cloudflare:test";
import { beforeEach, expect, test, vi } from "vitest";
import { aSegment, deliver } from "../events/recording.ts";
import { taskRunReports } from "../events/world.ts";
import { aFlowRun, api } from "../support/world.ts";

/** Columns of rows from before values had bounds. */
const DEEP = "[".repeat(1_100) + "]".repeat(1_100);
const state = (fields: string) =>
  `[{"id":"00000000-0000-7000-8000-000000000001","type":"RUNNING","name":"Running","timestamp":1,"message":null,${fields}}]`;

const POISONS: { title: string; columns: Record<string, string | number> }[] = [
  {
    title: "times after the year 9999",
    columns: { expected_start_time: 1e24, cache_expiration: 1e18, start_time: 9e15 * 1e3 },
  },
  {
    title: "times before the year 1",
    columns: { expected_start_time: -1e24, end_time: -1e18, state_timestamp: -1e24 },
  },
  { title: "counts beyond 2^53", columns: { run_count: 2 ** 60, flow_run_run_count: 2 ** 62, total_run_time: 9e18 } },
  { title: "states that nest too deep", columns: { states: state(`"data":${DEEP},"state_details":{}`) } },
  {
    title: "a state with times that no calendar has",
    columns: { states: state(`"data":null,"state_details":{"scheduled_time":1e+24,"cache_expiration":-1e+24}`) },
  },
  { title: "inputs that nest too deep", columns: { task_inputs: `{"x":[{"id":${DEEP}}]}` } },
  { title: "labels that nest too deep", columns: { labels: `{"x":${DEEP}}`, empirical_policy: `{"x":${DEEP}}` } },
];

beforeEach(() => {
  vi.spyOn(console, "error").mockImplementation(() => {});
});

test.for(POISONS)(
  "a row with $title does not break an answer about this row or about other rows",
  async ({ columns }) => {
    const { id: flowRunId } = await aFlowRun({ state: { type: "RUNNING" } });
    const ids = [crypto.randomUUID(), crypto.randomUUID(), crypto.randomUUID()] as const;
    const now = Date.now() * 1000;
    for (const id of ids)
      await deliver(await aSegment(taskRunReports([{ type: "RUNNING", at: now }], { id, flowRunId })));
    for (const id of ids.slice(0, 2)) {
      const sets = Object.keys(columns).map((name) => `${name} = ?`);
      await env.DB.prepare(`update task_run set ${sets.join(", ")} where id = unhex(?, '-')`)
        .bind(...Object.values(columns), id)
        .run();
    }
    const ofRun = { flow_runs: { id: { any_: [flowRunId] } } };
    const listed = await api<{ id: string }[]>("POST", "/task_runs/filter", ofRun);
    expect(new Set(listed.body.map(({ id }) => id))).toEqual(new Set(ids));
    const window = { history_interval_seconds: 3_600, ...ofRun };
    const times = { history_start: new Date(now / 1000 - 3_600_000), history_end: new Date(now / 1000 + 3_600_000) };
    const answers = await Promise.all([
      api("POST", "/task_runs/paginate", ofRun),
      api("POST", "/task_runs/count", ofRun),
      api("POST", "/task_runs/history", { ...window, ...times }),
      api("POST", "/flow_runs/filter", { task_runs: { id: { any_: ids } } }),
      api("GET", `/flow_runs/${flowRunId}/graph`),
      api("GET", `/flow_runs/${flowRunId}/graph-v2`),
      api("GET", `/task_runs/${ids[0]}`),
      api("GET", `/task_run_states/?task_run_id=${ids[0]}`),
      api("PATCH", `/task_runs/${ids[0]}`, { name: "other" }),
      api("POST", `/task_runs/${ids[0]}/set_state`, { state: { type: "COMPLETED" }, force: true }),
    ]);
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200, 200, 200, 200, 204, 201]);
    // Later reports of the task run are recorded.
    await deliver(await aSegment(taskRunReports([{ type: "FAILED", at: now * 2 }], { id: ids[1], flowRunId })));
    expect((await api("GET", `/task_runs/${ids[1]}`)).body["state_type"]).toBe("FAILED");
  },
);

test("a task run that the API sets to more than a thousand states keeps the newest", async () => {
  const { body } = await api<{ id: string }>("POST", "/task_runs/", {
    task_key: "add",
    dynamic_key: crypto.randomUUID(),
  });
  const states = JSON.stringify(
    Array.from({ length: 1_200 }, (_, index) => ({
      id: crypto.randomUUID(),
      type: "RUNNING",
      name: "Running",
      timestamp: index,
      message: "m".repeat(1_000),
      data: null,
      state_details: {},
    })),
  );
  await env.DB.prepare("update task_run set states = ? where id = unhex(?, '-')").bind(states, body.id).run();
  await api("POST", `/task_runs/${body.id}/set_state`, { state: { type: "COMPLETED" }, force: true });
  const read = await api<{ type: string; message: string | null }[]>("GET", `/task_run_states/?task_run_id=${body.id}`);
  expect([read.body.length, read.body.at(-1)?.type]).toEqual([1_000, "COMPLETED"]);
  expect(read.body[0]?.message).toMatch(/left out/);
});

test("durations with a sum beyond all integers are added", async () => {
  const { id: flowRunId } = await aFlowRun({ state: { type: "RUNNING" } });
  const now = Date.now() * 1000;
  for (let count = 0; count < 3; count++) {
    const id = crypto.randomUUID();
    await deliver(await aSegment(taskRunReports([{ type: "COMPLETED", at: now }], { id, flowRunId })));
    await env.DB.prepare("update task_run set total_run_time = ? where id = unhex(?, '-')").bind(4e18, id).run();
  }
  const { status } = await api("POST", "/task_runs/history", {
    history_start: new Date(now / 1000 - 3_600_000),
    history_end: new Date(now / 1000 + 3_600_000),
    history_interval_seconds: 3_600,
    flow_runs: { id: { any_: [flowRunId] } },
  });
  expect(status).toBe(200);
});
