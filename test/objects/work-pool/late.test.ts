import { env } from "cloudflare:test";
import { describe, expect, test } from "vitest";
import { markLate } from "#orchestration/mark-late";
import { api } from "../../support/world";
import { goes, Pool, statesOf, tools } from "./pool";

const ago = (seconds: number) => new Date(Date.now() - seconds * 1000).toISOString();
const dueAt = (time: string, name?: string) => ({
  type: "SCHEDULED",
  ...(name !== undefined && { name }),
  state_details: { scheduled_time: time },
});
const nameOf = async (id: string) => (await api("GET", `/flow_runs/${id}`)).body["state_name"];
const statesOfRun = async (id: string) =>
  (await api<{ name: string }[]>("GET", `/flow_run_states/?flow_run_id=${id}`)).body.map(({ name }) => name);

describe("a run of a pool that is not started in time", () => {
  test("becomes Late by the alarm of its pool, fifteen seconds after its scheduled time", async () => {
    const pool = await Pool.made();
    const { id } = await pool.run(dueAt(ago(5)));
    expect(await pool.poll()).toEqual([id]);
    const [row] = await pool.known();
    expect(await pool.timer("late")).toBe(Math.ceil((row?.due ?? 0) / 1000) + 15_000);
    await pool.do("late");
    expect(await nameOf(id)).toBe("Scheduled");
    expect(await pool.timer("late")).toBe(Math.ceil((row?.due ?? 0) / 1000) + 15_000);
  });

  test("keeps its scheduled time when it is Late, and is still offered", async () => {
    const pool = await Pool.made();
    const time = ago(16);
    const { id } = await pool.run(dueAt(time));
    await pool.alarm();
    await pool.do("late");
    const { body } = await api<{ state: object; next_scheduled_start_time: string }>("GET", `/flow_runs/${id}`);
    expect(body).toMatchObject({ state_type: "SCHEDULED", state_name: "Late" });
    expect(Date.parse(body.next_scheduled_start_time)).toBe(Date.parse(time));
    expect(await statesOfRun(id)).toEqual(["Scheduled", "Late"]);
    expect(await pool.poll()).toEqual([id]);
  });

  test("is tried once, by the same object or after an eviction", async () => {
    const pool = await Pool.made();
    const { id } = await pool.run(dueAt(ago(20)));
    await pool.alarm();
    await pool.do("late");
    expect(await pool.known()).toMatchObject([{ id, is_late: true }]);
    expect(await pool.timer("late")).toBeNull();
    await pool.evict();
    await pool.do("check");
    await pool.do("late");
    expect(await pool.timer("late")).toBeNull();
    expect(await statesOfRun(id)).toEqual(["Scheduled", "Late"]);
  });

  test("becomes Late again if it is rescheduled and missed again", async () => {
    const pool = await Pool.made();
    const { id } = await pool.run(dueAt(ago(20)));
    await pool.do("late");
    expect(await nameOf(id)).toBe("Late");
    await api("POST", `/flow_runs/${id}/set_state`, { state: dueAt(ago(16)), force: true });
    await pool.do("late");
    expect(await statesOfRun(id)).toEqual(["Scheduled", "Late", "Scheduled", "Late"]);
  });

  test("is not changed if it has started", async () => {
    const pool = await Pool.made();
    const { id } = await pool.run(dueAt(ago(5)));
    await goes(id, "PENDING");
    await pool.wait(11);
    await pool.alarm();
    await pool.do("late");
    expect(await statesOfRun(id)).toEqual(["Scheduled", "Pending"]);
  });

  test("is not changed if its state has any other name than Scheduled", async () => {
    const pool = await Pool.made();
    const { id } = await pool.run(dueAt(ago(60), "AwaitingRetry"));
    await pool.alarm();
    await pool.do("late");
    expect(await nameOf(id)).toBe("AwaitingRetry");
    expect(await pool.timer("late")).toBeNull();
  });

  test("needs no timer if the pool has no due runs", async () => {
    const pool = await Pool.made();
    expect(await pool.poll()).toEqual([]);
    await pool.do("check");
    expect(await pool.timer("late")).toBeNull();
  });

  test("is not marked if the service is switched off", async () => {
    const pool = await Pool.made();
    await pool.inObject((object) =>
      Object.assign(object, { bindings: { ...env, PREFECT_SERVER_SERVICES_LATE_RUNS_ENABLED: "false" } }),
    );
    const { id } = await pool.run(dueAt(ago(60)));
    expect(await pool.timer("late")).toBeNull();
    await pool.do("late");
    expect(await nameOf(id)).toBe("Scheduled");
  });

  test("is marked together with many others, more than one alarm marks", async () => {
    const pool = await Pool.made();
    const { id } = await pool.run(dueAt(ago(60)));
    const copies = Array.from({ length: 130 }, () => crypto.randomUUID());
    await env.DB.batch([
      env.DB.prepare(
        `insert into flow_run_state (id, workspace_id, flow_run_id, type, name, timestamp, state_details)
         select value, s.workspace_id, value, s.type, s.name, s.timestamp, s.state_details
         from json_each(?1) join flow_run_state s on s.flow_run_id = ?2`,
      ).bind(JSON.stringify(copies), id),
      env.DB.prepare(
        `insert into flow_run (workspace_id, id, created, updated, name, flow_id, work_queue_id, parameters, context, empirical_policy, tags,
           labels, auto_scheduled, state_id, state_type, state_name, state_timestamp, state_ids, run_count, expected_start_time,
           next_scheduled_start_time, total_run_time)
         select workspace_id, value, created, updated, name, flow_id, work_queue_id, parameters, context, empirical_policy, tags, labels, 0,
           value, state_type, state_name, state_timestamp, json_array(value), 0, expected_start_time, next_scheduled_start_time, 0
         from json_each(?1) join flow_run on flow_run.id = ?2`,
      ).bind(JSON.stringify(copies), id),
    ]);
    await pool.do("check");
    await pool.do("late");
    await pool.do("late");
    expect(await statesOf([id, ...copies])).toEqual({ Late: 131 });
  }, 30_000);
});

describe("marking late", () => {
  test("marks each run once, also if two calls run at the same time", async () => {
    const pool = await Pool.made();
    await pool.poll();
    const runs = await Promise.all(Array.from({ length: 6 }, () => pool.run(dueAt(ago(30)))));
    const ids = runs.map(({ id }) => id);
    await Promise.all([markLate(tools(), ids), markLate(tools(), ids), pool.do("late")]);
    for (const id of ids) expect(await statesOfRun(id)).toEqual(["Scheduled", "Late"]);
  });

  test("does not change a run that is not overdue, has started, is deleted, or is already Late", async () => {
    const pool = await Pool.made();
    const soon = await pool.run(dueAt(ago(14)));
    const started = await pool.run(dueAt(ago(14)));
    await goes(started.id, "PENDING");
    await markLate(tools(), [soon.id, started.id, crypto.randomUUID()]);
    expect([await nameOf(soon.id), await nameOf(started.id)]).toEqual(["Scheduled", "Pending"]);
  });
});
