import { env } from "cloudflare:test";
import { expect, test, vi } from "vitest";
import { START } from "#services/due";
import { failExpiredPauses } from "#services/overdue-runs";
import { selectExpired } from "#services/sweep-store";
import { aroundCalls } from "../support/around-calls";
import { planOf } from "../support/plans";
import { aFlow, aFlowRun, api, propose, unique } from "../support/world";
import { later, MINUTE, SECOND } from "./time";

const at = (ahead: number) => new Date(Date.now() + ahead / 1000).toISOString();

interface Run {
  id: string;
  state_type: string;
  state_name: string;
  state_id: string;
  state: { message: string | null };
}

const read = async (id: string) => (await api<Run>("GET", `/flow_runs/${id}`)).body;

/** A run that was RUNNING and is paused with these details. */
async function aPausedRun(details: Record<string, unknown>, fields: Record<string, unknown> = {}): Promise<string> {
  const { id } = await aFlowRun({ state: { type: "RUNNING" }, ...fields });
  const { status } = await propose(id, { type: "PAUSED", name: "Paused", state_details: details });
  expect(status).toBe("ACCEPT");
  return id;
}

async function aDeployment(): Promise<string> {
  const body = { name: unique("suspended"), flow_id: await aFlow() };
  return (await api<{ id: string }>("POST", "/deployments/", body)).body.id;
}

test("a run fails when its pause has lasted too long, and not before", async () => {
  const id = await aPausedRun({ pause_timeout: at(5 * MINUTE) });
  await later(4 * MINUTE, failExpiredPauses);
  expect(await read(id)).toMatchObject({ state_type: "PAUSED" });
  await later(5 * MINUTE + SECOND, failExpiredPauses);
  expect(await read(id)).toMatchObject({
    state_type: "FAILED",
    state_name: "Failed",
    state: { message: "The flow was paused and never resumed." },
  });
});

test("a suspended run fails like a paused run, and has the event", async () => {
  const deployment_id = await aDeployment();
  const id = await aPausedRun({ pause_timeout: at(MINUTE), pause_reschedule: true }, { deployment_id });
  await later(2 * MINUTE, failExpiredPauses);
  const { state_type, state_id } = await read(id);
  expect(state_type).toBe("FAILED");
  const failures = async () => {
    const filter = {
      occurred: { since: at(-MINUTE), until: at(10 * MINUTE) },
      any_resource: { id: [`prefect.flow-run.${id}`] },
      event: { name: ["prefect.flow-run.Failed"] },
    };
    const { body } = await api<{ events: { id: string }[] }>("POST", "/events/filter", { filter });
    return body.events.map((event) => event.id);
  };
  await vi.waitFor(async () => expect(await failures()).toEqual([state_id]), 4000);
});

test.for([
  ["has no timeout", {}, null],
  ["has time left", { pause_timeout: at(1000 * MINUTE) }, null],
  ["was resumed", { pause_timeout: at(MINUTE) }, "RUNNING"],
  ["was cancelled", { pause_timeout: at(MINUTE) }, "CANCELLED"],
] as const)("a pause that %s does not expire", async ([, details, next]) => {
  const id = await aPausedRun(details);
  if (next) expect((await propose(id, { type: next })).status).toBe("ACCEPT");
  await later(10 * MINUTE, failExpiredPauses);
  expect(await read(id)).toMatchObject({ state_type: next ?? "PAUSED" });
});

test("a run that is resumed while its pause expires continues", async () => {
  const id = await aPausedRun({ pause_timeout: at(5 * MINUTE) });
  await later(6 * MINUTE, async (tools) => {
    let isResumed = false;
    const db = aroundCalls(tools.db, async (name, call) => {
      const answer = await call();
      // The sweep has found the run. A request with another clock now resumes the run in time.
      if (name === "rows" && !isResumed) {
        isResumed = true;
        expect((await propose(id, { type: "RUNNING" })).status).toBe("ACCEPT");
      }
      return answer;
    });
    await failExpiredPauses({ ...tools, db });
    expect(isResumed).toBe(true);
  });
  expect(await read(id)).toMatchObject({ state_type: "RUNNING" });
});

test("two concurrent turns fail a run once", async () => {
  const id = await aPausedRun({ pause_timeout: at(MINUTE) });
  await later(2 * MINUTE, (tools) => Promise.all([failExpiredPauses(tools), failExpiredPauses(tools)]));
  const { results } = await env.DB.prepare("select type from flow_run_state where flow_run_id = ? order by id")
    .bind(id)
    .all();
  expect(results.map(({ type }) => type)).toEqual(["RUNNING", "PAUSED", "FAILED"]);
});

test("the turn finds paused runs through an index, for any number of other runs", async () => {
  const plan = await planOf(selectExpired(1, { round: START, most: 200 }));
  expect(plan).toMatch(/SEARCH r USING INDEX flow_run_halted \(state_type=\?\)/);
  expect(plan).not.toMatch(/SCAN|TEMP B-TREE/);
});

test("a pause writes one row more than other states, and its end does not", async () => {
  const { id } = await aFlowRun({ state: { type: "RUNNING" } });
  const set = (state: Record<string, unknown>) =>
    api("POST", `/flow_runs/${id}/set_state`, { state }, { "x-sluice-cost": "1" });
  const written = ({ headers }: { headers: Headers }) =>
    Number(/rows_written=(\d+)/.exec(headers.get("x-sluice-cost") ?? "")?.[1]);
  const paused = written(await set({ type: "PAUSED", state_details: { pause_timeout: at(MINUTE) } }));
  const resumed = written(await set({ type: "RUNNING" }));
  const pausedAgain = written(await set({ type: "PAUSED", state_details: { pause_timeout: at(MINUTE) } }));
  expect([paused, resumed, pausedAgain]).toEqual([3, 2, 3]);
});
