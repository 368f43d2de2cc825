import { env } from "cloudflare:test";
import { expect, test } from "vitest";
import { skipRun } from "#orchestration/mark-late";
import { allOf } from "#lib/portions";
import { pollDeployments } from "#resources/deployments/poll";
import { getScheduledFlowRuns } from "#resources/work-pools/get-scheduled-flow-runs";
import { START } from "#services/due";
import { skipMissedRuns } from "#services/overdue-runs";
import { selectMissed } from "#services/sweep-store";
import { planOf } from "../support/plans";
import { aFlow, api, propose, unique } from "../support/world";
import { later, MINUTE } from "./time";

/** At this time three half-hourly runs are overdue, the first for less than two hours. */
const AWAY = 115 * MINUTE;
const HALF_HOURLY = { interval: 1800, anchor_date: "2020-01-01T00:00:00Z" };

interface Deployment {
  id: string;
  schedules: { id: string; missed_runs?: unknown; parameters: unknown }[];
}

async function aDeployment(missed_runs?: unknown, fields: Record<string, unknown> = {}): Promise<Deployment> {
  const schedules = [{ schedule: HALF_HOURLY, slug: "s", ...(missed_runs !== undefined && { missed_runs }) }];
  const body = { name: unique("missed"), flow_id: await aFlow(), schedules, ...fields };
  return (await api<Deployment>("POST", "/deployments/", body)).body;
}

interface Standing {
  id: string;
  state_name: string;
  due: number;
}

async function standing(id: string): Promise<Standing[]> {
  const { results } = await env.DB.prepare(
    "select id, state_name, expected_start_time as due from flow_run where deployment_id = ? order by 3",
  )
    .bind(id)
    .all<Standing>();
  return results;
}

const names = async (id: string) => (await standing(id)).map(({ state_name }) => state_name);

test.for([
  ["all", ["Scheduled", "Scheduled", "Scheduled"]],
  ["latest", ["Skipped", "Skipped", "Scheduled"]],
  ["skip", ["Skipped", "Skipped", "Skipped"]],
] as const)(
  "of three runs that have not started, the policy %s keeps %j, also after two concurrent turns",
  async ([policy, left]) => {
    const { id } = await aDeployment({ policy, window_seconds: 600 });
    expect(await names(id)).toEqual(["Scheduled", "Scheduled", "Scheduled"]);
    await later(AWAY, (tools) => Promise.all([skipMissedRuns(tools), skipMissedRuns(tools)]));
    expect(await names(id)).toEqual(left);
    const skipped = (await standing(id)).filter(({ state_name }) => state_name === "Skipped");
    for (const run of skipped) {
      const { body } = await api<{ state: { type: string; message: string } }>("GET", `/flow_runs/${run.id}`);
      expect(body.state.type).toBe("CANCELLED");
      expect(body.state.message).toMatch(/^It was due at 20.*Z, was not begun within 600 seconds, and /);
    }
  },
);

test("a schedule without a policy keeps all its runs, and answers have no policy", async () => {
  const { id, schedules } = await aDeployment();
  expect(Object.keys(schedules[0] ?? {})).not.toContain("missed_runs");
  await later(AWAY, skipMissedRuns);
  expect(await names(id)).toEqual(["Scheduled", "Scheduled", "Scheduled"]);
});

test("a run is not missed within the window, nor before it is due", async () => {
  const { id } = await aDeployment({ policy: "skip", window_seconds: 900 });
  const [first] = await standing(id);
  const until = (first?.due ?? 0) - Date.now() * 1000;
  await later(until + 14 * MINUTE, skipMissedRuns);
  expect(await names(id)).toEqual(["Scheduled", "Scheduled", "Scheduled"]);
  await later(until + 16 * MINUTE, skipMissedRuns);
  expect(await names(id)).toEqual(["Skipped", "Scheduled", "Scheduled"]);
});

test("a started run is not skipped, also if it starts between the select and the change", async () => {
  const { id } = await aDeployment({ policy: "skip", window_seconds: 60 });
  const [first] = await standing(id);
  if (!first) throw new Error("no run");
  await propose(first.id, { type: "PENDING" });
  await later(AWAY, async (tools) => {
    await skipMissedRuns(tools);
    await skipRun(tools, { id: first.id, due: first.due, policy: "skip", window_seconds: 60 });
  });
  expect(await names(id)).toEqual(["Pending", "Skipped", "Skipped"]);
});

test("runs without a schedule are never missed", async () => {
  const { id } = await aDeployment({ policy: "skip", window_seconds: 60 });
  const { body } = await api<{ id: string }>("POST", `/deployments/${id}/create_flow_run`, {});
  await later(AWAY, skipMissedRuns);
  expect((await standing(id)).find((run) => run.id === body.id)?.state_name).toBe("Scheduled");
});

test("a poll of a served deployment does not get a missed run, even before the sweep has skipped the run", async () => {
  const { id } = await aDeployment({ policy: "latest", window_seconds: 600 });
  const runs = await later(AWAY, async (tools) =>
    allOf(await pollDeployments(tools, { deploymentIds: [id], before: tools.clock(), limit: 200 })),
  );
  const [, , last] = await standing(id);
  expect(runs.map((run) => run.id)).toEqual([last?.id]);
  expect((await names(id)).slice(0, 2)).toEqual(["Skipped", "Skipped"]);
});

test("a poll of a pool does not get a missed run, even before the sweep has skipped the run", async () => {
  const pool = unique("pool");
  await api("POST", "/work_pools/", { name: pool, type: "process" });
  const { id } = await aDeployment({ policy: "latest", window_seconds: 600 }, { work_pool_name: pool });
  const runs = await later(AWAY, async (tools) =>
    allOf(await getScheduledFlowRuns(tools, pool, { queues: null, before: tools.clock(), after: null, limit: 10 })),
  );
  const [, , last] = await standing(id);
  expect(runs.map(({ flow_run }) => flow_run.id)).toEqual([last?.id]);
});

test("other missed runs are skipped although one run cannot be skipped", async () => {
  const { id } = await aDeployment({ policy: "latest", window_seconds: 600 });
  const [broken, , last] = await standing(id);
  await env.DB.prepare("update flow_run set state_ids = '[{' where id = ?").bind(broken?.id).run();
  const handed = await later(AWAY, async (tools) =>
    allOf(await pollDeployments(tools, { deploymentIds: [id], before: tools.clock(), limit: 200 })),
  );
  expect(handed.map((run) => run.id)).toEqual([last?.id]);
  expect((await names(id))[1]).toBe("Skipped");
});

test("the policy is read and set by its own route, which does not change runs or parameters", async () => {
  const { id, schedules } = await aDeployment();
  const path = `/deployments/${id}/schedules/${schedules[0]?.id}/missed_runs`;
  const before = await standing(id);
  expect((await api("GET", path)).body).toEqual({ policy: "all", window_seconds: 300 });
  expect((await api("PUT", path, { policy: "skip", window_seconds: 120 })).body).toEqual({
    policy: "skip",
    window_seconds: 120,
  });
  expect((await api("GET", path)).body).toEqual({ policy: "skip", window_seconds: 120 });
  expect(await standing(id)).toEqual(before);
  const { body } = await api<Deployment>("GET", `/deployments/${id}`);
  expect(body.schedules[0]?.missed_runs).toEqual({ policy: "skip", window_seconds: 120 });
  expect((await api("PUT", path, { policy: "all" })).status).toBe(200);
  expect((await api("GET", path)).body).toEqual({ policy: "all", window_seconds: 300 });
});

test.for([
  [{ policy: "never" }, 422],
  [{ policy: "skip", window_seconds: 5 }, 422],
  [{ window_seconds: 600 }, 422],
  [{ policy: "skip", extra: 1 }, 422],
] as const)("the policy %j is refused", async ([policy, status]) => {
  const { id, schedules } = await aDeployment();
  const path = `/deployments/${id}/schedules/${schedules[0]?.id}/missed_runs`;
  expect((await api("PUT", path, policy)).status).toBe(status);
  const unknown = `/deployments/${id}/schedules/${crypto.randomUUID()}/missed_runs`;
  expect((await api("PUT", unknown, { policy: "skip" })).status).toBe(404);
});

test("the policy stays with the slug if a client that does not know the policy deploys again", async () => {
  const { id, schedules } = await aDeployment({ policy: "latest", window_seconds: 60 });
  const { body: flow } = await api<{ flow_id: string; name: string }>("GET", `/deployments/${id}`);
  const again = await api<Deployment>("POST", "/deployments/", {
    name: flow.name,
    flow_id: flow.flow_id,
    schedules: [{ schedule: HALF_HOURLY, slug: "s" }],
  });
  expect(again.body.schedules[0]?.id).not.toBe(schedules[0]?.id);
  expect(again.body.schedules[0]?.missed_runs).toEqual({ policy: "latest", window_seconds: 60 });
});

test("the sweep finds due runs through the index of live runs", async () => {
  const plan = await planOf(selectMissed({ after: 1, until: 2 }, { round: START, most: 200 }));
  expect(plan).toContain("flow_run_live (next_scheduled_start_time>? AND next_scheduled_start_time<?)");
  expect(plan).toContain("deployment_schedule_missed_runs");
  expect(plan).not.toContain("TEMP B-TREE");
});
