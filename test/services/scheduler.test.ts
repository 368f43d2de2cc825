import { createExecutionContext, env, waitOnExecutionContext } from "cloudflare:test";
import { createdByForm } from "#db/short/created-by";
import { type LabelsRow, readLabels } from "#db/short/labels";
import { expect, test } from "vitest";
import { START } from "#services/due";
import { topUpSchedules } from "#services/scheduler";
import { markSilentDeployments } from "#services/foreman";
import { selectDueSchedules, selectUnpolled } from "#services/sweep-store";
import { makeTools, type Tools } from "#tools";
import { aroundCalls } from "../support/around-calls";
import { planOf } from "../support/plans";
import { aFlow, api, unique, WORKSPACE } from "../support/world";

const MINUTE = 60_000_000;

/** Tools with a clock that is ahead by so much. */
async function later<T>(ahead: number, work: (tools: Tools) => Promise<T>): Promise<T> {
  const context = createExecutionContext();
  const tools = makeTools(env, WORKSPACE, (promise) => context.waitUntil(promise));
  const result = await work({ ...tools, clock: () => tools.clock() + ahead });
  await waitOnExecutionContext(context);
  return result;
}

async function aDeployment(schedule: Record<string, unknown>, fields: Record<string, unknown> = {}): Promise<string> {
  const body = { name: unique("scheduled"), flow_id: await aFlow(), schedules: [{ schedule, slug: "s" }], ...fields };
  return (await api<{ id: string }>("POST", "/deployments/", body)).body.id;
}

async function startsOf(id: string): Promise<number[]> {
  const { results } = await env.DB.prepare(
    "select expected_start_time as at from flow_run where deployment_id = ? order by 1",
  )
    .bind(id)
    .all<{ at: number }>();
  return results.map(({ at }) => at);
}

const topUpAt = (id: string) =>
  env.DB.prepare("select top_up_at from deployment_schedule where deployment_id = ?")
    .bind(id)
    .first<number>("top_up_at");

test("a new schedule has its runs at once, with the original's messages", async () => {
  const id = await aDeployment(
    { interval: 1800, anchor_date: "2020-01-01T00:00:00Z" },
    { tags: ["t"], parameters: { a: 1 }, labels: { team: "ours" } },
  );
  const starts = await startsOf(id);
  expect(starts).toHaveLength(3);
  expect(new Set(starts.slice(1).map((start, index) => start - (starts[index] ?? 0)))).toEqual(new Set([30 * MINUTE]));
  const run = await env.DB.prepare("select * from flow_run where deployment_id = ? limit 1").bind(id).first();
  expect(run).toMatchObject({
    tags: '["auto-scheduled","t"]',
    parameters: '{"a":1}',
    auto_scheduled: 1,
    state_type: "SCHEDULED",
  });
  const schedule = await env.DB.prepare("select id from deployment_schedule where deployment_id = ?")
    .bind(id)
    .first("id");
  expect(createdByForm.read(String(run?.["created_by"]))).toEqual({
    id: schedule,
    type: "SCHEDULE",
    display_value: "s",
  });
  expect(readLabels(run as unknown as LabelsRow)).toEqual({
    team: "ours",
    "prefect.flow.id": run?.["flow_id"],
    "prefect.deployment.id": id,
  });
  expect(run?.["idempotency_key"]).toMatch(
    new RegExp(`^scheduled ${id} [0-9a-f-]{36} \\d{4}-\\d\\d-\\d\\d \\d\\d:\\d\\d:00\\+00:00$`),
  );
});

test("a schedule is topped up when it is due and not before, and two concurrent calls have the effect of one", async () => {
  const id = await aDeployment({ interval: 1800, anchor_date: "2020-01-01T00:00:00Z" });
  const [before, due] = [await startsOf(id), await topUpAt(id)];
  expect(due).not.toBeNull();
  await later(0, topUpSchedules);
  expect(await startsOf(id)).toEqual(before);
  await later(90 * MINUTE, (tools) => Promise.all([topUpSchedules(tools), topUpSchedules(tools)]));
  const after = await startsOf(id);
  expect(after.length).toBeGreaterThan(before.length);
  expect(new Set(after).size).toBe(after.length);
  expect((await topUpAt(id)) ?? 0).toBeGreaterThan(due ?? 0);
  await later(90 * MINUTE, topUpSchedules);
  expect(await startsOf(id)).toEqual(after);
});

test("a schedule with an interval of seconds has no more runs than the maximum, and enough runs until the next turn", async () => {
  const id = await aDeployment({ interval: 5, anchor_date: "2020-01-01T00:00:00Z" });
  expect(await startsOf(id)).toHaveLength(100);
  await later(MINUTE, topUpSchedules);
  const starts = await startsOf(id);
  expect(starts.length).toBeGreaterThan(105);
  expect(new Set(starts.slice(1).map((start, index) => start - (starts[index] ?? 0)))).toEqual(new Set([5_000_000]));
});

test("how far ahead runs are created is a setting", async () => {
  const id = await aDeployment({ interval: 1800, anchor_date: "2020-01-01T00:00:00Z" }, { paused: true });
  const figures = {
    enabled: true,
    min_runs: 2,
    max_runs: 7,
    min_scheduled_seconds: 2 * 3600,
    max_scheduled_seconds: 86_400,
  };
  const turn = (ahead: number, changes: Partial<typeof figures>) =>
    later(ahead, (tools) => {
      const services = { ...tools.settings.services, scheduler: { ...figures, ...changes } };
      return topUpSchedules({ ...tools, settings: { ...tools.settings, services } });
    });
  await env.DB.batch([
    env.DB.prepare("update deployment set paused = 0 where id = ?").bind(id),
    env.DB.prepare("update deployment_schedule set top_up_at = 1 where deployment_id = ?").bind(id),
  ]);
  await turn(0, {});
  expect((await startsOf(id)).length).toBeGreaterThanOrEqual(4);
  expect((await startsOf(id)).length).toBeLessThanOrEqual(5);
  await turn(60 * MINUTE, { min_runs: 9 });
  expect((await startsOf(id)).length).toBe(9);
});

test("a slow turn postpones the failed schedules, and not the schedules that were changed or topped up meanwhile", async () => {
  const id = await aDeployment({ interval: 1800, anchor_date: "2020-01-01T00:00:00Z" });
  await env.DB.prepare("update deployment_schedule set top_up_at = 1 where deployment_id = ?").bind(id).run();
  let changed = 0;
  let ended = 0;
  let writes = 0;
  await later(0, async (tools) => {
    const begun = tools.clock();
    ended = begun + 10 * MINUTE;
    const change = env.DB.prepare(
      "update deployment_schedule set updated = ?1, top_up_at = ?1 where deployment_id = ?2",
    );
    const db = aroundCalls(tools.db, async (name, call) => {
      // Another request changes the schedule before its mark moves, and dies before it creates the schedule's runs.
      if (name === "run" && writes++ === 1) {
        changed = begun + 1;
        await change.bind(changed, id).run();
      }
      return call();
    });
    let looks = 0;
    await topUpSchedules({ ...tools, db, clock: () => (looks++ === 0 ? begun : ended) });
  });
  // The schedule keeps the change, unless this turn deleted runs that it had created. Then the schedule is due again.
  expect([changed, ended]).toContain(await topUpAt(id));
});

test("a date that is too far ahead becomes a run when its time has come", async () => {
  const soon = new Date(Date.now() + 200 * 86_400_000);
  const id = await aDeployment({ cron: `0 0 ${soon.getUTCDate()} ${soon.getUTCMonth() + 1} *` });
  expect(await startsOf(id)).toEqual([]);
  await later(101 * 24 * 60 * MINUTE, topUpSchedules);
  expect(await startsOf(id)).toHaveLength(1);
});

test.for([
  ["paused", { paused: true }],
  ["without an active schedule", { schedules: [{ schedule: { interval: 60 }, active: false }] }],
  [
    "at the end of its rule",
    { schedules: [{ schedule: { rrule: "DTSTART:20200101T000000\nRRULE:FREQ=DAILY;COUNT=2" } }] },
  ],
] as const)("the scheduler reads no rows of a deployment that is %s", async ([, fields]) => {
  const id = await aDeployment({ interval: 60 }, fields);
  expect(await startsOf(id)).toEqual([]);
  expect(await topUpAt(id)).toBeNull();
});

test("a schedule that is paused while its runs are created has no runs in the end", async () => {
  const id = await aDeployment({ interval: 60, anchor_date: "2020-01-01T00:00:00Z" });
  await later(120 * MINUTE, async (tools) => {
    let isPaused = false;
    const db = aroundCalls(tools.db, async (name, call) => {
      // The pause comes after the deployments are read and before their runs are written.
      if (name === "batch" && !isPaused) {
        isPaused = true;
        await api("POST", `/deployments/${id}/pause_deployment`);
      }
      return call();
    });
    await topUpSchedules({ ...tools, db });
  });
  expect(await startsOf(id)).toEqual([]);
});

test.for([
  ["schedule", `update deployment_schedule set parameters = '{"now":1}', updated = ?2 where deployment_id = ?1`],
  ["deployment", `update deployment set parameters = '{"now":1}', updated = ?2 where id = ?1`],
] as const)(
  "if a %s is changed while its runs are created, all runs have the new values in the end",
  async ([, change]) => {
    const id = await aDeployment({ interval: 1800, anchor_date: "2020-01-01T00:00:00Z" });
    await later(90 * MINUTE, async (tools) => {
      let step = 0;
      const db = aroundCalls(tools.db, async (name, call) => {
        if (name !== "batch" || step++ > 0) return call();
        // The change is committed before the runs are written. The later creation of runs by the change finds these
        // runs.
        const now = tools.clock();
        await env.DB.batch([
          env.DB.prepare("delete from flow_run where deployment_id = ?1 and expected_start_time > ?2").bind(id, now),
          env.DB.prepare(change).bind(id, now),
          env.DB.prepare(
            "update deployment_schedule set scheduled_until = ?2, top_up_at = ?2 where deployment_id = ?1",
          ).bind(id, now),
        ]);
        const written = await call();
        await topUpSchedules({ ...tools, clock: () => now + 1 });
        return written;
      });
      await topUpSchedules({ ...tools, db });
    });
    await later(91 * MINUTE, topUpSchedules);
    const { results } = await env.DB.prepare(
      "select expected_start_time as at, parameters from flow_run where deployment_id = ? order by 1",
    )
      .bind(id)
      .all<{ at: number; parameters: string }>();
    const begun = Date.now() * 1000 + 91 * MINUTE;
    const ahead = results.filter(({ at }) => at > begun);
    expect(ahead.map(({ parameters }) => parameters)).toEqual(['{"now":1}', '{"now":1}', '{"now":1}']);
    expect(ahead.slice(1).map(({ at }, index) => at - (ahead[index]?.at ?? 0))).toEqual([30 * MINUTE, 30 * MINUTE]);
    expect(ahead[0]?.at).toBeLessThanOrEqual(begun + 30 * MINUTE);
    expect(await topUpAt(id)).toBeGreaterThan(begun);
  },
);

/** Rows that no request would write. */
const POISONED: Record<string, string> = {
  "that is invalid JSON": "schedule = '{'",
  "that is a list": `schedule = '[1]'`,
  "with parameters that are not JSON": "parameters = 'x'",
  "with an unknown zone": `schedule = '{"cron":"* * * * *","timezone":"Nowhere/At_All","day_or":true}'`,
  "with an invalid rule": `schedule = '{"rrule":"FREQ=NEVER","timezone":"UTC"}'`,
  "with a rule of a million characters": `schedule = json_object('rrule', hex(zeroblob(500000)), 'timezone', 'UTC')`,
  "with an impossible time": "updated = 1e300, scheduled_until = -1e300",
  "with a rule that excludes all its dates": `schedule = json_object('timezone', 'UTC', 'rrule',
    'DTSTART:20200101T000000' || char(10) || 'RRULE:FREQ=DAILY' || char(10) || 'EXRULE:FREQ=DAILY')`,
};

const poison = (id: string, change: string) =>
  env.DB.prepare(`update deployment_schedule set top_up_at = 1, scheduled_until = 1, ${change} where id = ?`)
    .bind(id)
    .run();

test.for(Object.entries(POISONED))(
  "a schedule %s does not prevent the runs of other schedules and deployments",
  async ([, change]) => {
    const interval = { interval: 1800, anchor_date: "2020-01-01T00:00:00Z" };
    const schedules = ["bad", "good"].map((slug) => ({ schedule: interval, slug }));
    const [mixed, other] = [await aDeployment({}, { schedules }), await aDeployment(interval)];
    const { body } = await api<{ id: string; slug: string }[]>("GET", `/deployments/${mixed}/schedules`);
    const idOf = (slug: string) => body.find((row) => row.slug === slug)?.id ?? "";
    await env.DB.prepare("delete from flow_run where deployment_id in (?, ?)").bind(mixed, other).run();
    await env.DB.prepare("update deployment_schedule set top_up_at = 2, scheduled_until = 2 where id = ?")
      .bind(idOf("good"))
      .run();
    await env.DB.prepare("update deployment_schedule set top_up_at = 2, scheduled_until = 2 where deployment_id = ?")
      .bind(other)
      .run();
    await poison(idOf("bad"), change);
    await later(0, topUpSchedules);
    const { results } = await env.DB.prepare(
      "select deployment_id || (created_by ->> 2) as who, count(*) as many from flow_run where deployment_id in (?, ?) group by 1",
    )
      .bind(mixed, other)
      .all<{ who: string; many: number }>();
    const made = new Map(results.map(({ who, many }) => [who, many]));
    expect(made.get(`${mixed}good`)).toBeGreaterThanOrEqual(3);
    expect(made.get(`${other}s`)).toBeGreaterThanOrEqual(3);
    // Requests that create runs of all schedules are answered too.
    expect((await api("POST", `/deployments/${mixed}/pause_deployment`)).status).toBe(200);
    expect((await api("POST", `/deployments/${mixed}/resume_deployment`)).status).toBe(200);
  },
);

test("many slow schedules share the looks of one turn, and the remaining schedules are handled by later turns", async () => {
  const rrule = "DTSTART:20200101T000000\nRRULE:FREQ=DAILY\nEXRULE:FREQ=DAILY";
  const hostile = Array.from({ length: 12 }, () => ({ schedule: { rrule } }));
  const healthy = { schedule: { interval: 1800, anchor_date: "2020-01-01T00:00:00Z" } };
  const id = await aDeployment({}, { schedules: [healthy, ...hostile] });
  const waiting = async () =>
    (
      await env.DB.prepare("select 1 from deployment_schedule where deployment_id = ? and top_up_at is not null")
        .bind(id)
        .all()
    ).results.length;
  expect(await waiting()).toBeGreaterThan(1);
  for (let turn = 0; turn < 8; turn++) await later(3 * turn * MINUTE, topUpSchedules);
  expect(await waiting()).toBe(1);
  expect((await startsOf(id)).length).toBeGreaterThanOrEqual(3);
});

test("a turn that ends in the middle of a schedule does not start with this schedule after a restart", async () => {
  const ids = await Promise.all(
    Array.from({ length: 2 }, () => aDeployment({ interval: 1800, anchor_date: "2020-01-01T00:00:00Z" })),
  );
  for (const id of ids)
    await env.DB.prepare("update deployment_schedule set top_up_at = 1 where deployment_id = ?").bind(id).run();
  const marks: (number | null)[] = [];
  await later(90 * MINUTE, async (tools) => {
    const db = aroundCalls(tools.db, async (name, call) => {
      if (name === "batch") for (const id of ids) marks.push(await topUpAt(id));
      return call();
    });
    await topUpSchedules({ ...tools, db });
  });
  expect(marks.length).toBeGreaterThan(0);
  expect(Math.min(...marks.map(Number))).toBeGreaterThan(Date.now() * 1000 + 90 * MINUTE);
});

test("due schedules, and served deployments without polls, are found through their indexes", async () => {
  expect(await planOf(selectDueSchedules(1, { round: START, most: 200 }))).toContain(
    "deployment_schedule_top_up (top_up_at<?)",
  );
  expect(await planOf(selectUnpolled(1, { round: START, most: 200 }))).toContain("deployment_served (last_polled<?)");
});

test("a served deployment without polls becomes NOT_READY after a while", async () => {
  const id = await aDeployment({ interval: 60 }, { schedules: [] });
  await api("POST", "/deployments/get_scheduled_flow_runs", { deployment_ids: [id] });
  const status = async () => (await api("GET", `/deployments/${id}`)).body["status"];
  await expect.poll(status).toBe("READY");
  await later(MINUTE, markSilentDeployments);
  expect(await status()).toBe("READY");
  await later(2 * MINUTE, markSilentDeployments);
  expect(await status()).toBe("NOT_READY");
});
