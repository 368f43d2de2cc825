import { env } from "cloudflare:test";
import { expect, test, vi } from "vitest";
import { START } from "#services/due";
import { scheduleAnew, stuckPending } from "#services/silent-runs";
import { selectStuckPending } from "#services/sweep-store";
import { anEvent } from "../events/world";
import { DEFAULT_SERVICES } from "../support/app";
import { aroundCalls } from "../support/around-calls";
import { planOf } from "../support/plans";
import { aFlow, aFlowRun, api, propose, unique } from "../support/world";
import { later, MINUTE, SECOND } from "./time";

interface Run {
  id: string;
  state_type: string;
  state_name: string;
  run_count: number;
  next_scheduled_start_time: string | null;
  state: { message: string | null };
}

const read = async (id: string) => (await api<Run>("GET", `/flow_runs/${id}`)).body;
const typeOf = async (id: string) => (await read(id)).state_type;
const typesOf = async (id: string) => {
  const { results } = await env.DB.prepare("select type from flow_run_state where flow_run_id = ? order by id")
    .bind(id)
    .all();
  return results.map(({ type }) => type);
};

async function aDeployment(fields: object = {}, reliability: object = {}): Promise<string> {
  const body = { name: unique("stuck"), flow_id: await aFlow(), ...fields };
  const { id } = (await api<{ id: string }>("POST", "/deployments/", body)).body;
  await api("PATCH", `/deployments/${id}/reliability`, reliability);
  return id;
}

/** Runs a turn each minute, from now until a time. */
async function turns(until: number, from = 0): Promise<void> {
  for (let at = from; at <= until; at += MINUTE) await later(at, scheduleAnew);
}

/** A PENDING run of a deployment. */
async function aPendingRun(deploymentId: string): Promise<string> {
  const { id } = (await api<Run>("POST", `/deployments/${deploymentId}/create_flow_run`, {})).body;
  expect((await propose(id, { type: "PENDING" })).status).toBe("ACCEPT");
  return id;
}

test("a run that stays Pending for ten minutes is rescheduled for now, and not before", async () => {
  const id = await aPendingRun(await aDeployment());
  await turns(9 * MINUTE);
  expect(await typeOf(id)).toBe("PENDING");
  await turns(11 * MINUTE);
  const run = await read(id);
  expect(run).toMatchObject({ state_type: "SCHEDULED", state_name: "Scheduled", run_count: 0 });
  expect(run.state.message).toMatch(
    /^Scheduled anew \(1 of 10\): the run was Pending, and nothing was heard of it for 6\d\d seconds\.$/,
  );
  const due = Date.parse(run.next_scheduled_start_time ?? "") - Date.now();
  expect(due).toBeGreaterThan(9 * 60_000);
  expect(due).toBeLessThan(11 * 60_000 + 1000);
});

test(
  "a poll of its pool gets the run again, and the slots of pool and deployment are free",
  { timeout: 15_000 },
  async () => {
    const pool = unique("pool");
    await api("POST", "/work_pools/", { name: pool, type: "process", concurrency_limit: 1 });
    const deployment = await aDeployment({ work_pool_name: pool, concurrency_limit: 1 });
    const id = await aPendingRun(deployment);
    const next = (await api<Run>("POST", `/deployments/${deployment}/create_flow_run`, {})).body.id;
    const poll = async () => {
      const scheduled_before = new Date(Date.now() + 3_600_000).toISOString();
      const { body } = await api<{ flow_run: Run }[]>("POST", `/work_pools/${pool}/get_scheduled_flow_runs`, {
        scheduled_before,
      });
      return body.map(({ flow_run }) => flow_run.id);
    };
    expect(await poll()).toEqual([]);
    await turns(11 * MINUTE);
    // A due run with a slot is offered after the object has read D1, some seconds later.
    await vi.waitFor(async () => expect(await poll()).toHaveLength(1), { timeout: 8000, interval: 200 });
    expect((await propose(next, { type: "PENDING" })).status).toBe("ACCEPT");
    expect(await typeOf(id)).toBe("SCHEDULED");
  },
);

test("a run crashes at the eleventh time", { timeout: 30_000 }, async () => {
  const id = await aPendingRun(await aDeployment());
  for (let time = 1; time <= 10; time++) {
    await turns(11 * MINUTE);
    expect((await read(id)).state.message).toContain(`(${time} of 10)`);
    // The clock of the service was ahead, so a client's proposal would have to wait for that time.
    await env.DB.prepare("update flow_run set next_scheduled_start_time = ?, updated = updated + 1 where id = ?")
      .bind(Date.now() * 1000, id)
      .run();
    expect((await propose(id, { type: "PENDING" })).status).toBe("ACCEPT");
  }
  await turns(11 * MINUTE);
  const run = await read(id);
  expect(run.state_type).toBe("CRASHED");
  expect(run.state.message).toMatch(/^Given up after being scheduled anew 10 times: /);
});

test.for([
  [
    "an event of the run",
    (id: string) => api("POST", "/events", [anEvent({ event: "some.thing", about: `prefect.flow-run.${id}` })]),
  ],
  ["a Submitting state", (id: string) => propose(id, { type: "PENDING", name: "Submitting" })],
  ["a change of its labels", (id: string) => api("PATCH", `/flow_runs/${id}/labels`, { a: "b" })],
  [
    "a log",
    (id: string) =>
      api("POST", "/logs/", [
        { name: "x", level: 20, message: "m", timestamp: new Date().toISOString(), flow_run_id: id },
      ]),
  ],
] as const)("%s prevents that a run is rescheduled", async ([, sign]) => {
  const id = await aPendingRun(await aDeployment());
  // The run has been pending for nine minutes when the sign of life arrives.
  const nineMinutesAgo = Date.now() * 1000 - 9 * MINUTE;
  await env.DB.batch([
    env.DB.prepare("update flow_run set state_timestamp = ?, updated = ? where id = ?").bind(
      nineMinutesAgo,
      nineMinutesAgo,
      id,
    ),
    env.DB.prepare("delete from event_resource where resource_id = ?").bind(`prefect.flow-run.${id}`),
  ]);
  await sign(id);
  await turns(9 * MINUTE);
  expect(await typeOf(id)).toBe("PENDING");
  await turns(11 * MINUTE);
  expect(await typeOf(id)).toBe("SCHEDULED");
});

test("a run with a process id may be silent for an hour", { timeout: 20_000 }, async () => {
  const id = await aPendingRun(await aDeployment());
  await api("PATCH", `/flow_runs/${id}`, { infrastructure_pid: "17" });
  await turns(59 * MINUTE);
  expect(await typeOf(id)).toBe("PENDING");
  await turns(61 * MINUTE, 60 * MINUTE);
  expect(await typeOf(id)).toBe("SCHEDULED");
});

test("a run without a deployment and a pool is not rescheduled", async () => {
  const { id } = await aFlowRun({ state: { type: "PENDING" } });
  await turns(20 * MINUTE);
  expect(await typeOf(id)).toBe("PENDING");
});

test("a deployment can switch Lazarus off", async () => {
  const id = await aPendingRun(await aDeployment({}, { lazarus: false }));
  await turns(20 * MINUTE);
  expect(await typeOf(id)).toBe("PENDING");
});

test.for(["RUNNING", "CANCELLED"] as const)("a run that is already %s is not changed", async (type) => {
  const id = await aPendingRun(await aDeployment());
  await turns(9 * MINUTE);
  await later(10 * MINUTE + SECOND, async (tools) => {
    let isFound = false;
    const db = aroundCalls(tools.db, async (name, call) => {
      const answer = await call();
      if (name === "rows" && Array.isArray(answer) && answer.length > 0 && "times" in answer[0] && !isFound) {
        isFound = true;
        expect((await propose(id, { type })).status).toBe("ACCEPT");
      }
      return answer;
    });
    await scheduleAnew({ ...tools, db });
    expect(isFound).toBe(true);
  });
  expect(await typeOf(id)).toBe(type);
});

test("no run is rescheduled because the server was down", async () => {
  const id = await aPendingRun(await aDeployment());
  await turns(2 * MINUTE);
  // Then there is no turn for half an hour.
  await turns(42 * MINUTE, 33 * MINUTE);
  expect(await typeOf(id)).toBe("PENDING");
  await turns(44 * MINUTE, 43 * MINUTE);
  expect(await typeOf(id)).toBe("SCHEDULED");
});

test("two concurrent turns reschedule a run once", async () => {
  const id = await aPendingRun(await aDeployment());
  await turns(9 * MINUTE);
  await later(11 * MINUTE, (tools) => Promise.all([scheduleAnew(tools), scheduleAnew(tools)]));
  expect(await typesOf(id)).toEqual(["SCHEDULED", "PENDING", "SCHEDULED"]);
});

test("stuck runs are found through the index of live runs", async () => {
  const plan = await planOf(
    selectStuckPending(stuckPending(DEFAULT_SERVICES.lazarus, Date.now() * 1000, 1), { round: START, most: 200 }),
  );
  expect(plan).toMatch(/SEARCH r USING INDEX flow_run_live \(next_scheduled_start_time=\?\)/);
  expect(plan).not.toMatch(/SCAN (r|s|x|l|d)\b|TEMP B-TREE/);
});
