import { env } from "cloudflare:test";
import { expect, test } from "vitest";
import { START } from "#services/due";
import { markLateRuns } from "#services/overdue-runs";
import { selectOverdue } from "#services/sweep-store";
import type { Tools } from "#tools";
import { planOf } from "../support/plans";
import { aFlow, aFlowRun, api, propose, unique } from "../support/world";
import { later, MINUTE, SECOND } from "./time";

const HOUR = 60 * MINUTE;

interface Run {
  id: string;
  state_type: string;
  state_name: string;
  state_id: string;
  expected_start_time: string;
  state: { state_details: { scheduled_time: string } };
}

const read = async (id: string) => (await api<Run>("GET", `/flow_runs/${id}`)).body;
const at = (ahead: number) => new Date(Date.now() + ahead / 1000).toISOString();

/** A run that is due so many microseconds from now. */
async function aScheduledRun(ahead: number, fields: Record<string, unknown> = {}): Promise<string> {
  const state = { type: "SCHEDULED", state_details: { scheduled_time: at(ahead) } };
  return (await aFlowRun({ state, ...fields })).id;
}

/** One turn at a minute of the hour, with runs that are due relative to the turn. */
function turn(minute: number, of: (tools: Tools, now: number) => Promise<void> = markLateRuns): Promise<void> {
  return later(0, (tools) => {
    const present = tools.clock();
    const now = present - (present % HOUR) + 24 * HOUR + minute * MINUTE + 2 * SECOND;
    return of({ ...tools, clock: () => now }, now);
  });
}

/** Runs that are due relative to a turn, created before the turn. */
async function made(minute: number, aheads: readonly number[]): Promise<string[]> {
  const ids: string[] = [];
  await turn(minute, async (_, now) => {
    for (const ahead of aheads) ids.push(await aScheduledRun(now + ahead - Date.now() * 1000));
  });
  return ids;
}

test("a run is late if it has not started fifteen seconds after its scheduled time, and keeps its scheduled time", async () => {
  const [early = "", late = ""] = await made(30, [-14 * SECOND, -16 * SECOND]);
  await turn(30);
  expect(await read(early)).toMatchObject({ state_type: "SCHEDULED", state_name: "Scheduled" });
  const run = await read(late);
  expect(run).toMatchObject({ state_type: "SCHEDULED", state_name: "Late" });
  expect(run.state.state_details.scheduled_time).toBe(run.expected_start_time);
});

test("the time after which a run is late is a setting", async () => {
  const [id = ""] = await made(30, [-3 * SECOND]);
  await turn(30, (tools) => {
    const services = { ...tools.settings.services, late_runs: { enabled: true, after_seconds: 2 } };
    return markLateRuns({ ...tools, settings: { ...tools.settings, services } });
  });
  expect(await read(id)).toMatchObject({ state_name: "Late" });
});

test("runs that have been overdue for long are found once an hour", async () => {
  const [id = ""] = await made(30, [-2 * HOUR]);
  await turn(30);
  expect(await read(id)).toMatchObject({ state_name: "Scheduled" });
  await turn(60);
  expect(await read(id)).toMatchObject({ state_name: "Late" });
});

test.for([
  ["is pending", { type: "PENDING" }, "Pending"],
  ["waits for its retry", { type: "SCHEDULED", name: "AwaitingRetry" }, "AwaitingRetry"],
  ["has ended", { type: "COMPLETED" }, "Completed"],
] as const)("a run that %s is not late", async ([, state, name]) => {
  const id = await aScheduledRun(-5 * MINUTE);
  const details = "name" in state ? { state_details: { scheduled_time: at(-5 * MINUTE) } } : {};
  await propose(id, { ...state, ...details }, true);
  await later(MINUTE, markLateRuns);
  expect(await read(id)).toMatchObject({ state_name: name });
});

test("two concurrent turns mark a run once", async () => {
  const [id = ""] = await made(30, [-MINUTE]);
  await turn(30, async (tools) => {
    await Promise.all([markLateRuns(tools), markLateRuns(tools)]);
  });
  const { results } = await env.DB.prepare("select name from flow_run_state where flow_run_id = ? order by id")
    .bind(id)
    .all();
  expect(results.map(({ name }) => name)).toEqual(["Scheduled", "Late"]);
});

test("the turn finds due runs through an index, for any number of ended runs", async () => {
  const plan = await planOf(selectOverdue({ after: 1, until: 2 }, { round: START, most: 200 }));
  expect(plan).toBe("SEARCH r USING INDEX flow_run_live (next_scheduled_start_time>? AND next_scheduled_start_time<?)");
});

test("a poll that finds an overdue run of a served deployment marks the run late", async () => {
  const flow_id = await aFlow();
  const { body } = await api<{ id: string }>("POST", "/deployments/", { name: unique("served"), flow_id });
  const overdue = await aScheduledRun(-20 * SECOND, { flow_id, deployment_id: body.id });
  const due = await aScheduledRun(-10 * SECOND, { flow_id, deployment_id: body.id });
  const poll = () => api<Run[]>("POST", "/deployments/get_scheduled_flow_runs", { deployment_ids: [body.id] });
  const polled = (await poll()).body;
  expect(polled.map(({ id }) => id)).toEqual([overdue, due]);
  await expect.poll(async () => (await read(overdue)).state_name).toBe("Late");
  expect(await read(due)).toMatchObject({ state_name: "Scheduled" });
  expect((await poll()).body.map(({ id }) => id)).toEqual([overdue, due]);
});
