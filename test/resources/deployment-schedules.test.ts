import { env } from "cloudflare:test";
import { describe, expect, test } from "vitest";
import { aDeployment, aFlow, api, type Deployment, unique } from "../support/world";

interface Schedule {
  id: string;
  slug: string | null;
  active: boolean;
  max_scheduled_runs: number | null;
  parameters: Record<string, unknown>;
  schedule: Record<string, unknown>;
}

const HOURLY = { interval: 3600, anchor_date: "2020-01-01T00:00:00Z" };
const DAILY = { cron: "0 9 * * *", timezone: "Europe/Berlin" };
const WEEKLY = { rrule: "FREQ=WEEKLY;BYDAY=MO" };

const scheduled = (schedules: Record<string, unknown>[]) => aDeployment({ schedules });

const read = async (id: string) => (await api<Schedule[]>("GET", `/deployments/${id}/schedules`)).body;

async function pause(id: string, which: (schedule: Schedule) => boolean): Promise<void> {
  for (const schedule of (await read(id)).filter(which)) {
    const { status } = await api("PATCH", `/deployments/${id}/schedules/${schedule.id}`, { active: false });
    expect(status).toBe(204);
  }
}

describe("a schedule that is paused by its own route", () => {
  test("keeps its parameters, its slug and its maximum number of runs", async () => {
    const whole = { schedule: HOURLY, slug: "s", max_scheduled_runs: 7, parameters: { x: 1 } };
    const { id } = await scheduled([]);
    await api("POST", `/deployments/${id}/schedules`, [whole]);
    const [before] = await read(id);
    await pause(id, () => true);
    expect(await read(id)).toMatchObject([{ ...whole, active: false, id: before?.id }]);
    await api("PATCH", `/deployments/${id}/schedules/${before?.id}`, { active: true });
    expect(await read(id)).toMatchObject([{ ...whole, active: true }]);
  });

  test("keeps its parameters if a change of the deployment names only its slug", async () => {
    const { id } = await scheduled([{ schedule: HOURLY, slug: "s", parameters: { x: 1 } }]);
    await api("PATCH", `/deployments/${id}`, { schedules: [{ slug: "s", active: false }] });
    expect(await read(id)).toMatchObject([{ active: false, parameters: { x: 1 } }]);
  });

  test("loses its parameters if a change sets empty parameters", async () => {
    const { id } = await scheduled([{ schedule: HOURLY, parameters: { x: 1 } }]);
    const [schedule] = await read(id);
    await api("PATCH", `/deployments/${id}/schedules/${schedule?.id}`, { parameters: {} });
    expect(await read(id)).toMatchObject([{ parameters: {} }]);
  });
});

describe("a paused schedule", () => {
  const again = ({ name, flow_id }: Deployment, schedules: Record<string, unknown>[]) => ({
    created: () => api("POST", "/deployments/", { name, flow_id, schedules }),
    changed: (id: string) => api("PATCH", `/deployments/${id}`, { schedules }),
  });
  const areActive = async (id: string, key: (schedule: Schedule) => unknown) =>
    Object.fromEntries((await read(id)).map((schedule) => [key(schedule), schedule.active]));

  test.for(["created", "changed"] as const)("stays paused by its slug when its deployment is %s again", async (how) => {
    const deployment = await scheduled([
      { schedule: HOURLY, slug: "off" },
      { schedule: DAILY, slug: "on" },
    ]);
    await pause(deployment.id, ({ slug }) => slug === "off");
    const schedules = [
      { schedule: { ...HOURLY, interval: 60 }, slug: "off" },
      { schedule: DAILY, slug: "on" },
      { schedule: WEEKLY, slug: "new" },
    ];
    await again(deployment, schedules)[how](deployment.id);
    expect(await areActive(deployment.id, ({ slug }) => slug)).toEqual({ off: false, on: true, new: true });
  });

  test.for(["created", "changed"] as const)(
    "without a slug stays paused if it does not change when its deployment is %s again",
    async (how) => {
      const all = [
        { schedule: { interval: 60 } },
        { schedule: { interval: 120 } },
        { schedule: DAILY },
        { schedule: WEEKLY },
      ];
      const deployment = await scheduled(all);
      const key = ({ schedule }: Schedule) => schedule["interval"] ?? schedule["cron"] ?? "weekly";
      await pause(deployment.id, ({ schedule }) => schedule["interval"] !== 120);
      // A client without an anchor sends another anchor each time.
      const changed = [{ schedule: { interval: 60, anchor_date: "2026-01-01T00:00:00Z" } }, ...all.slice(1, 3)];
      const other = { schedule: { ...DAILY, timezone: "Asia/Tokyo", cron: "1 9 * * *" } };
      await again(deployment, [...changed, all[3] ?? {}, other])[how](deployment.id);
      const expected = { 60: false, 120: true, "0 9 * * *": false, weekly: false, "1 9 * * *": true };
      expect(await areActive(deployment.id, key)).toEqual(expected);
    },
  );

  test("is active again if the client says so, and a schedule that was never paused is active", async () => {
    const deployment = await scheduled([
      { schedule: HOURLY, slug: "a" },
      { schedule: DAILY, slug: "b" },
    ]);
    await pause(deployment.id, () => true);
    await again(deployment, [
      { schedule: HOURLY, slug: "a", active: true },
      { schedule: DAILY, slug: "b" },
    ]).created();
    expect(await areActive(deployment.id, ({ slug }) => slug)).toEqual({ a: true, b: false });
  });

  test("stays paused beside an equal active schedule", async () => {
    const deployment = await scheduled([{ schedule: HOURLY }, { schedule: HOURLY }]);
    const [first] = await read(deployment.id);
    await pause(deployment.id, ({ id }) => id === first?.id);
    await again(deployment, [{ schedule: HOURLY }, { schedule: HOURLY }, { schedule: HOURLY }]).created();
    expect((await read(deployment.id)).filter(({ active }) => !active)).toHaveLength(1);
  });

  test("may lack parameters that its runs need when its deployment is deployed again", async () => {
    const deployment = await scheduled([{ schedule: HOURLY, slug: "s" }]);
    await pause(deployment.id, () => true);
    const schema = { type: "object", properties: { x: { type: "string" } }, required: ["x"] };
    const body = { name: deployment.name, flow_id: deployment.flow_id, parameter_openapi_schema: schema };
    const { status } = await api("POST", "/deployments/", { ...body, schedules: [{ schedule: HOURLY, slug: "s" }] });
    expect(status).toBe(200);
  });
});

test("a deployment has at most 200 schedules, whichever route adds them", async () => {
  const many = (count: number, from = 0) =>
    Array.from({ length: count }, (_, index) => ({
      schedule: { cron: "0 0 1 1 *" },
      slug: `${from + index}`,
      active: false,
    }));
  const body = { name: unique("many"), flow_id: await aFlow(), schedules: many(201) };
  const refused = await api<{ exception_detail: unknown[] }>("POST", "/deployments/", body);
  expect(refused.status).toBe(422);
  expect(refused.body.exception_detail).toMatchObject([{ loc: ["body", "schedules"], type: "too_long" }]);
  const { id } = await scheduled(many(199));
  const add = (count: number, from: number) => api("POST", `/deployments/${id}/schedules`, many(count, from));
  expect((await add(2, 199)).status).toBe(422);
  expect((await add(1, 199)).status).toBe(201);
  expect((await add(1, 200)).status).toBe(422);
  expect((await api("PATCH", `/deployments/${id}`, { schedules: many(1, 200) })).status).toBe(422);
  expect((await api("PATCH", `/deployments/${id}`, { schedules: many(1, 199) })).status).toBe(204);
  expect(await read(id)).toHaveLength(200);
});

test("all schedules of a deployment together have a bound in bytes, whichever route adds them", async () => {
  // The statement that reads all schedules of a deployment escapes quotes.
  const one = (index: number, bytes: number) => ({
    schedule: HOURLY,
    slug: `${index}`,
    parameters: { p: '"'.repeat(bytes / 2) },
  });
  const body = { name: unique("large"), flow_id: await aFlow(), schedules: [one(0, 410_000), one(1, 410_000)] };
  expect((await api("POST", "/deployments/", body)).status).toBe(422);
  const { id } = await scheduled([one(0, 410_000)]);
  const add = (index: number, bytes: number) => api("POST", `/deployments/${id}/schedules`, [one(index, bytes)]);
  expect((await add(1, 410_000)).status).toBe(422);
  const { status, body: added } = await api<{ id: string }[]>("POST", `/deployments/${id}/schedules`, [
    one(1, 300_000),
  ]);
  expect(status).toBe(201);
  const change = { parameters: one(1, 410_000).parameters };
  expect((await api("PATCH", `/deployments/${id}/schedules/${added[0]?.id}`, change)).status).toBe(422);
  expect((await api("PATCH", `/deployments/${id}`, { schedules: [{ slug: "1", ...change }] })).status).toBe(422);
  expect((await api("PATCH", `/deployments/${id}`, { schedules: [one(2, 410_000)] })).status).toBe(422);
  expect((await api("PATCH", `/deployments/${id}`, { schedules: [one(2, 40_000)] })).status).toBe(204);
  expect(
    (await read(id)).map(({ parameters }) => (parameters["p"] as string).length).toSorted((a, b) => a - b),
  ).toEqual([20_000, 150_000, 205_000]);
  expect((await api("POST", "/deployments/filter", { flows: {} })).status).toBe(200);
});

test("schedules beyond the bound, from an older release, can be paused, changed and deleted, but cannot grow", async () => {
  const small = { schedule: HOURLY, slug: "small", parameters: { p: "x".repeat(100) } };
  const { id } = await scheduled([{ schedule: HOURLY, slug: "large" }, small]);
  await env.DB.prepare(
    "UPDATE deployment_schedule SET parameters = json_object('p', hex(zeroblob(450000))) WHERE deployment_id = ? AND slug = 'large'",
  )
    .bind(id)
    .run();
  const schedules = await read(id);
  const change = (slug: string, body: Record<string, unknown>) =>
    api("PATCH", `/deployments/${id}/schedules/${schedules.find((one) => one.slug === slug)?.id}`, body);
  expect((await change("large", { active: false })).status).toBe(204);
  expect((await api("PATCH", `/deployments/${id}`, { schedules: [{ slug: "large", active: true }] })).status).toBe(204);
  expect((await change("small", { parameters: { p: "x".repeat(101) } })).status).toBe(422);
  expect((await api("POST", `/deployments/${id}/schedules`, [{ schedule: HOURLY }])).status).toBe(422);
  expect((await change("small", { parameters: { p: "x".repeat(99) } })).status).toBe(204);
  expect((await change("large", { parameters: {} })).status).toBe(204);
  expect((await read(id)).find(({ slug }) => slug === "large")).toMatchObject({ active: true, parameters: {} });
});

describe("a schedule without an end", () => {
  test.for([
    { rrule: "DTSTART:20200101T000000\nRRULE:FREQ=DAILY\nEXRULE:FREQ=DAILY" },
    { rrule: "FREQ=SECONDLY;BYMONTH=2;BYMONTHDAY=30" },
    { cron: "0 0 30 2 *" },
    { interval: 8e13 },
    { interval: 86_400, anchor_date: "9999-12-31T23:59:59Z" },
  ])("is accepted and has no runs within the horizon, and other requests are answered: %j", async (schedule) => {
    const { id } = await scheduled([{ schedule }]);
    expect((await read(id)).length).toBe(1);
    expect((await api("POST", `/deployments/${id}/schedule`, {})).status).toBe(200);
    expect((await api("POST", "/deployments/filter", {})).status).toBe(200);
  });

  test.for([
    ["rrule", { rrule: `FREQ=DAILY;BYDAY=${"MO,".repeat(300_000)}MO` }],
    ["cron", { cron: `${"0,".repeat(300_000)}0 * * * *` }],
    ["interval", { interval: 1e300 }],
    ["interval", { interval: "P1000000000D" }],
    ["rrule", { rrule: "FREQ=DAILY;INTERVAL=00" }],
  ] as const)("is refused, and the refusal names the field %s", async ([field, schedule]) => {
    const body = { name: unique("refused"), flow_id: await aFlow(), schedules: [{ schedule }] };
    const answer = await api<{ exception_detail: { loc: unknown[] }[] }>("POST", "/deployments/", body);
    expect(answer.status).toBe(422);
    expect(answer.body.exception_detail.some(({ loc }) => loc.at(-1) === field)).toBe(true);
  });
});
