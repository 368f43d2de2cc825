/** Rows that no request writes. Each service skips these rows and handles the others. */
import { env } from "cloudflare:test";
import { sql } from "drizzle-orm";
import { expect, test } from "vitest";
import { flow_run_state } from "#db/tables/flow-run";
import { failExpiredPauses, markLateRuns, skipMissedRuns } from "#services/overdue-runs";
import { crashZombies, scheduleAnew } from "#services/silent-runs";
import { walkStates } from "#services/walk-states";
import { aFlow, aFlowRun, api, propose, unique } from "../support/world";
import { later, MINUTE } from "./time";

const NO_JSON = "'{'";

async function aDeployment(fields: Record<string, unknown> = {}): Promise<string> {
  const body = { name: unique("poisoned"), flow_id: await aFlow(), ...fields };
  return (await api<{ id: string }>("POST", "/deployments/", body)).body.id;
}

const write = (statement: string, ...values: unknown[]) =>
  env.DB.prepare(statement)
    .bind(...values)
    .run();

async function typeOf(id: string): Promise<string> {
  return String(await env.DB.prepare("select state_type from flow_run where id = ?").bind(id).first("state_type"));
}

async function nameOf(id: string): Promise<string> {
  return String(await env.DB.prepare("select state_name from flow_run where id = ?").bind(id).first("state_name"));
}

/** So many copies of a run that no service can change, because the copies' policies are not JSON. */
async function copies(id: string, count: number, due: number): Promise<void> {
  const { results } = await env.DB.prepare("select name from pragma_table_info('flow_run')").all<{ name: string }>();
  const values = results.map(({ name }) => {
    if (name === "id") return "'bad-' || value || ?1";
    if (name === "empirical_policy") return NO_JSON;
    if (name === "idempotency_key") return "null";
    return name === "next_scheduled_start_time" ? "?2 + value" : `r."${name}"`;
  });
  const columns = results.map(({ name }) => `"${name}"`).join(", ");
  await write(
    `insert into flow_run (${columns}) select ${values.join(", ")} from flow_run r, json_each(?3) where r.id = ?1`,
    id,
    due,
    JSON.stringify(Array.from({ length: count }, (_, index) => index)),
  );
}

test("a run is marked late though a full turn of earlier runs cannot be marked", async () => {
  const state = { type: "SCHEDULED", state_details: { scheduled_time: new Date(Date.now()).toISOString() } };
  const { id } = await aFlowRun({ state });
  await copies(id, 250, Date.now() * 1000 - 10 * MINUTE);
  await later(MINUTE, markLateRuns);
  expect(await nameOf(id)).toBe("Late");
  await write("delete from flow_run where id like 'bad-%'");
});

test("an expired pause ends though the details of another pause are not JSON", async () => {
  const [bad, good] = [await aFlowRun({ state: { type: "RUNNING" } }), await aFlowRun({ state: { type: "RUNNING" } })];
  for (const { id } of [bad, good])
    await propose(id, {
      type: "PAUSED",
      state_details: { pause_timeout: new Date(Date.now() + 60_000).toISOString() },
    });
  await write(
    `update flow_run_state set state_details = ${NO_JSON} where id = (select state_id from flow_run where id = ?)`,
    bad.id,
  );
  await later(2 * MINUTE, failExpiredPauses);
  expect(await typeOf(good.id)).toBe("FAILED");
  expect(await typeOf(bad.id)).toBe("PAUSED");
});

test("a missed run is skipped though another schedule's policy and another run's `created_by` are not JSON", async () => {
  const schedule = { interval: 1800, anchor_date: "2020-01-01T00:00:00Z" };
  const schedules = [{ schedule, missed_runs: { policy: "skip", window_seconds: 600 } }];
  const [policy, maker, good] = [
    await aDeployment({ schedules }),
    await aDeployment({ schedules }),
    await aDeployment({ schedules }),
  ];
  await write(`update deployment_schedule set missed_runs = ${NO_JSON} where deployment_id = ?`, policy);
  await write(`update flow_run set created_by = ${NO_JSON} where deployment_id = ?`, maker);
  await later(115 * MINUTE, skipMissedRuns);
  const { results } = await env.DB.prepare("select distinct state_name as name from flow_run where deployment_id = ?")
    .bind(good)
    .all<{ name: string }>();
  expect(results).toEqual([{ name: "Skipped" }]);
});

test("a stuck run is rescheduled though another run's states and another deployment's settings are not JSON", async () => {
  const ids: string[] = [];
  for (const deployment of [await aDeployment(), await aDeployment(), await aDeployment()]) {
    const { id } = (await api<{ id: string }>("POST", `/deployments/${deployment}/create_flow_run`, {})).body;
    await propose(id, { type: "PENDING" });
    ids.push(id);
  }
  const [states = "", settings = "", good = ""] = ids;
  await write(`update flow_run set state_ids = ${NO_JSON} where id = ?`, states);
  await write(
    `update deployment set reliability = ${NO_JSON} where id = (select deployment_id from flow_run where id = ?)`,
    settings,
  );
  for (let at = 0; at <= 11 * MINUTE; at += MINUTE) await later(at, scheduleAnew);
  expect(await typeOf(good)).toBe("SCHEDULED");
  expect(await typeOf(settings)).toBe("SCHEDULED");
});

test("zombies are found though a deployment's settings and a run's policy are not JSON", async () => {
  const deployment = await aDeployment();
  const { id } = (await api<{ id: string }>("POST", `/deployments/${deployment}/create_flow_run`, {})).body;
  await propose(id, { type: "RUNNING" });
  await write(`update deployment set reliability = ${NO_JSON} where id = ?`, deployment);
  const retry = await aFlowRun({ state: { type: "SCHEDULED", name: "AwaitingRetry" } });
  await write(`update flow_run set empirical_policy = ${NO_JSON} where id = ?`, retry.id);
  for (const at of [0, MINUTE, 60 * MINUTE]) await later(at, crashZombies);
  expect(await typeOf(id)).toBe("RUNNING");
});

test("a walk skips the state at which it fails, and continues after the state in the next turn", async () => {
  const runs = [];
  for (let index = 0; index < 5; index++) runs.push(await aFlowRun({ state: { type: "RUNNING" } }));
  const idOf = async (id: string) =>
    String(await env.DB.prepare("select state_id from flow_run where id = ?").bind(id).first("state_id"));
  const states = await Promise.all(runs.map(({ id }) => idOf(id)));
  const visited = new Set<string>();
  let failures = 0;
  const walk = () =>
    later(2 * MINUTE, (tools) =>
      walkStates(tools, { name: "a walk", age: MINUTE }, async (range) => {
        const rows = await tools.db.rows<{ id: string }>(
          sql`select id from ${flow_run_state} where ${range(sql.raw("id"))}`,
        );
        const isBad = rows.some(({ id }) => id === states[2]);
        if (isBad) failures++;
        if (isBad) throw new Error("malformed JSON");
        for (const { id } of rows) visited.add(id);
      }),
    );
  await walk();
  expect(states.filter((id) => !visited.has(id))).toEqual([states[2]]);
  const before = failures;
  expect(before).toBeGreaterThan(0);
  await walk();
  expect(failures).toBe(before);
});
