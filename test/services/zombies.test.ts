import { createExecutionContext, createScheduledController, env } from "cloudflare:test";
import { expect, test } from "vitest";
import { Database } from "#db/database";
import type { ReceivedEvent } from "#events/event";
import { buildSegments, writeSegments } from "#events/segments";
import { systemIds } from "#lib/clock";
import { noCost } from "#lib/cost";
import { START } from "#services/due";
import { selectHeartbeats, selectOverdueRetries, selectSilent } from "#services/sweep-store";
import { crashZombies } from "#services/silent-runs";
import { printTime } from "#wire/dates";
import worker from "#worker";
import { anEvent } from "../events/world";
import { aroundCalls } from "../support/around-calls";
import { planOf } from "../support/plans";
import { aFlow, aFlowRun, api, propose, unique, WORKSPACE } from "../support/world";
import { later, MINUTE, SECOND } from "./time";

const ids = systemIds();

interface Run {
  id: string;
  state_type: string;
  state: { message: string | null; id: string };
}

const read = async (id: string) => (await api<Run>("GET", `/flow_runs/${id}`)).body;
const typeOf = async (id: string) => (await read(id)).state_type;

/** Writes an event of a run, so many microseconds from now. */
async function hear(id: string, ahead: number, name = "prefect.flow-run.heartbeat"): Promise<void> {
  const written = Date.now() * 1000 + ahead;
  const { occurred: _, ...event } = anEvent({ event: name, about: `prefect.flow-run.${id}` });
  const received: ReceivedEvent = { occurred: printTime(written), ...event, received: printTime(written) };
  const segments = buildSegments(
    [{ event: received, occurred: written, json: JSON.stringify(received) }],
    written,
    ids,
  );
  await writeSegments(new Database(env.DB, noCost()), WORKSPACE, segments, () => false);
}

/** A RUNNING run with `count` heartbeats from now on, one each `every` microseconds. */
async function aRunWithHeartbeats(count: number, every = 60 * SECOND, fields: object = {}): Promise<string> {
  const { id } = await aFlowRun({ state: { type: "RUNNING" }, ...fields });
  for (let index = 0; index < count; index++) await hear(id, SECOND + index * every);
  return id;
}

/** Runs a turn each minute, from now until a time. */
async function watch(until: number, from = 0): Promise<void> {
  for (let at = from; at <= until; at += MINUTE) await later(at, crashZombies);
}

async function aDeployment(reliability: object = {}): Promise<string> {
  const body = { name: unique("beating"), flow_id: await aFlow() };
  const { id } = (await api<{ id: string }>("POST", "/deployments/", body)).body;
  const path = `/deployments/${id}/reliability`;
  expect((await api("PATCH", path, reliability)).status).toBeLessThan(300);
  return id;
}

test("a run that misses four heartbeats crashes with the reason, and does not crash before", async () => {
  const id = await aRunWithHeartbeats(3);
  // The last heartbeat came two minutes from now. The next index row may be a minute later.
  await watch(6 * MINUTE);
  expect(await typeOf(id)).toBe("RUNNING");
  await watch(7 * MINUTE, 7 * MINUTE);
  const { state_type, state } = await read(id);
  expect(state_type).toBe("CRASHED");
  expect(state.message).toMatch(
    /^The flow run's process is gone: nothing was heard of it for 2[5-9]\d seconds, although it sent heartbeats about every 60 seconds and has missed 4 of them\.$/,
  );
});

test("for a run with one heartbeat, the interval is the stock client's setting", async () => {
  const id = await aRunWithHeartbeats(1);
  await watch(11 * MINUTE);
  expect(await typeOf(id)).toBe("RUNNING");
  await watch(13 * MINUTE, 12 * MINUTE);
  expect(await typeOf(id)).toBe("CRASHED");
});

test("a run without a heartbeat never crashes", async () => {
  const { id } = await aFlowRun({ state: { type: "RUNNING" } });
  await hear(id, SECOND, "prefect.flow-run.something-else");
  await watch(30 * MINUTE);
  expect(await typeOf(id)).toBe("RUNNING");
});

test("heartbeats of another run, and events that are only related to a run, do not count", async () => {
  const { id } = await aFlowRun({ state: { type: "RUNNING" } });
  const other = `prefect.flow-run.${crypto.randomUUID()}`;
  const related = [{ "prefect.resource.id": `prefect.flow-run.${id}`, "prefect.resource.role": "flow-run" }];
  const event = anEvent({ event: "prefect.flow-run.heartbeat", about: other, related });
  expect((await api("POST", "/events", [event])).status).toBe(204);
  await watch(14 * MINUTE);
  expect(await typeOf(id)).toBe("RUNNING");
});

test.for([
  ["an event", (id: string, at: number) => hear(id, at, "prefect.task-run.Completed")],
  ["a log", (id: string, at: number) => aLog(id, at)],
] as const)("after %s, a run without heartbeats does not crash", async ([, sign]) => {
  const id = await aRunWithHeartbeats(3);
  await sign(id, 5 * MINUTE);
  await watch(8 * MINUTE);
  expect(await typeOf(id)).toBe("RUNNING");
  await watch(10 * MINUTE, 9 * MINUTE);
  expect(await typeOf(id)).toBe("CRASHED");
});

/** A log with the time of a client's clock. */
async function aLog(id: string, ahead: number): Promise<void> {
  const timestamp = new Date(Date.now() + ahead / 1000).toISOString();
  const log = { name: "prefect.flow_runs", level: 20, message: "alive", timestamp, flow_run_id: id };
  expect((await api("POST", "/logs/", [log])).status).toBe(201);
}

test("a log from a clock that is far ahead does not prevent a crash", async () => {
  const id = await aRunWithHeartbeats(3);
  await aLog(id, 1000 * MINUTE);
  await watch(7 * MINUTE);
  expect(await typeOf(id)).toBe("CRASHED");
});

test.for([
  ["PAUSED", { type: "PAUSED" }],
  ["SCHEDULED", { type: "SCHEDULED", name: "AwaitingRetry" }],
  ["CANCELLING", { type: "CANCELLING" }],
  ["COMPLETED", { type: "COMPLETED" }],
] as const)("a run that is %s is no zombie", async ([type, state]) => {
  const id = await aRunWithHeartbeats(3, 60 * SECOND, {});
  await api("PATCH", `/flow_runs/${id}`, { infrastructure_pid: "17" });
  expect((await propose(id, state, true)).status).toBe("ACCEPT");
  await watch(14 * MINUTE);
  expect(await typeOf(id)).toBe(type);
});

test.for([
  ["switched off", "RUNNING", { zombie_detection: false }],
  ["left on", "CRASHED", {}],
] as const)(
  "with zombie detection %s in its deployment, a silent run is %s at the end",
  async ([, type, reliability]) => {
    const deployment_id = await aDeployment(reliability);
    const id = await aRunWithHeartbeats(3, 60 * SECOND, { deployment_id });
    await watch(8 * MINUTE);
    expect(await typeOf(id)).toBe(type);
  },
);

test("a run crashes after the time of its retry if its process does not retry it", async () => {
  const fields = { empirical_policy: { retries: 1, retry_delay: 600 } };
  const id = await aRunWithHeartbeats(3, 60 * SECOND, fields);
  expect((await propose(id, { type: "FAILED" })).state).toMatchObject({ name: "AwaitingRetry" });
  // The retry is due in ten minutes. The run has twelve more minutes from then on.
  await watch(21 * MINUTE);
  expect(await typeOf(id)).toBe("SCHEDULED");
  await watch(23 * MINUTE, 22 * MINUTE);
  const { state_type, state } = await read(id);
  expect(state_type).toBe("CRASHED");
  expect(state.message).toMatch(/^The flow run's process is gone: .* was to try again 7[2-9]\d seconds ago\.$/);
});

test("a retry that any worker may start waits for a worker", async () => {
  const id = await aRunWithHeartbeats(3, 60 * SECOND);
  const again = { type: "SCHEDULED", name: "AwaitingRetry" };
  expect((await propose(id, again, true)).status).toBe("ACCEPT");
  await watch(20 * MINUTE);
  expect(await typeOf(id)).toBe("SCHEDULED");
});

test("no run crashes because the server was down: silence counts from the restart of the server", async () => {
  const id = await aRunWithHeartbeats(3);
  await watch(2 * MINUTE);
  // Then there is no turn for half an hour.
  await watch(36 * MINUTE, 33 * MINUTE);
  expect(await typeOf(id)).toBe("RUNNING");
  await watch(38 * MINUTE, 37 * MINUTE);
  expect(await typeOf(id)).toBe("CRASHED");
});

test("a run that gets a new state between the search and the crash is not changed", async () => {
  const id = await aRunWithHeartbeats(3);
  await watch(6 * MINUTE);
  await later(8 * MINUTE, async (tools) => {
    let isEnded = false;
    const db = aroundCalls(tools.db, async (name, call) => {
      const answer = await call();
      // The heartbeats of silent runs were read. Now the run ends by itself.
      if (name === "rows" && Array.isArray(answer) && answer.length > 0 && "found" in answer[0] && !isEnded) {
        isEnded = true;
        expect((await propose(id, { type: "COMPLETED" })).status).toBe("ACCEPT");
      }
      return answer;
    });
    await crashZombies({ ...tools, db });
    expect(isEnded).toBe(true);
  });
  expect(await typeOf(id)).toBe("COMPLETED");
});

test("two concurrent turns crash a run once", async () => {
  const id = await aRunWithHeartbeats(3);
  await watch(6 * MINUTE);
  await later(7 * MINUTE, (tools) => Promise.all([crashZombies(tools), crashZombies(tools)]));
  const { results } = await env.DB.prepare("select type from flow_run_state where flow_run_id = ? order by id")
    .bind(id)
    .all();
  expect(results.map(({ type }) => type)).toEqual(["RUNNING", "CRASHED"]);
});

test("a crashed run can become COMPLETED if its process is still running", async () => {
  const id = await aRunWithHeartbeats(3);
  await watch(7 * MINUTE);
  expect(await typeOf(id)).toBe("CRASHED");
  expect((await propose(id, { type: "COMPLETED" })).status).toBe("ACCEPT");
});

test("silent runs are found through the index of live runs, and their heartbeats through their own index rows", async () => {
  const silent = await planOf(selectSilent(1, 2, { round: { ...START, after: '[0,"a","b","c","d"]' }, most: 200 }));
  expect(silent).toMatch(/SEARCH r USING INDEX flow_run_live \(next_scheduled_start_time=\?/);
  expect(silent).toMatch(/SEARCH x USING PRIMARY KEY \(workspace_id=\? AND resource_id=\?\)/);
  expect(silent).toMatch(/SEARCH l USING PRIMARY KEY \(workspace_id=\? AND run_id=\?\)/);
  expect(await planOf(selectOverdueRetries({ after: 1, until: 2 }, 3, { round: START, most: 200 }))).toMatch(
    /SEARCH r USING INDEX flow_run_live \(next_scheduled_start_time>\? AND next_scheduled_start_time<\?\)/,
  );
  const heartbeats = await planOf(selectHeartbeats([{ workspace_id: WORKSPACE, id: "a", lastHeard: 1 }]));
  expect(heartbeats).toMatch(/SEARCH x USING PRIMARY KEY \(workspace_id=\? AND resource_id=\? AND hour>\?\)/);
  expect(heartbeats).toMatch(/SEARCH c USING PRIMARY KEY \(workspace_id=\? AND hour=\? AND id>\? AND id<\?\)/);
});

test("the sweep is a job of the crons", async () => {
  await worker.scheduled(
    createScheduledController({ cron: "* * * * *", scheduledTime: new Date() }),
    env,
    createExecutionContext(),
  );
  const marks = await env.DB.prepare("select count(*) as count from sweep_mark where name like 'zombies:%'").first();
  expect(marks).toEqual({ count: 2 });
});
