import { env } from "cloudflare:test";
import { expect, test } from "vitest";
import { aFlow, api, unique } from "../support/world";

const SCHEMA = {
  type: "object",
  properties: { name: { type: "string" }, times: { type: "integer" }, tone: { default: "kind" } },
  required: ["name", "times", "tone"],
};
const HOURLY = { interval: 3600 };

const aBody = async (fields: Record<string, unknown> = {}) => ({
  name: unique("required"),
  flow_id: await aFlow(),
  parameter_openapi_schema: SCHEMA,
  ...fields,
});
const create = async (fields: Record<string, unknown>) =>
  api<{ id: string; detail: string; schedules: { id: string }[] }>("POST", "/deployments/", await aBody(fields));

async function runsOf(id: string): Promise<number> {
  const count = await env.DB.prepare("select count(*) as n from flow_run where deployment_id = ?")
    .bind(id)
    .first<number>("n");
  return count ?? 0;
}

test("a deployment with an active schedule that lacks a required parameter is refused, and nothing is stored", async () => {
  const body = await aBody({ schedules: [{ schedule: HOURLY, parameters: { times: 1 } }] });
  const { status, body: answer } = await api<{ detail: string }>("POST", "/deployments/", body);
  expect(status).toBe(422);
  expect(answer.detail).toContain("required parameters have no value: 'name'.");
  expect((await api("POST", "/deployments/count", { deployments: { name: { any_: [body.name] } } })).body).toBe(0);
});

test.for([
  ["in the schedule", { schedules: [{ schedule: HOURLY, parameters: { name: "a", times: 1 } }] }, 3],
  ["in both", { parameters: { name: "a" }, schedules: [{ schedule: HOURLY, parameters: { times: 1 } }] }, 3],
  ["nowhere, but the schedule is not active", { schedules: [{ schedule: HOURLY, active: false }] }, 0],
  [
    "nowhere, but the schema is not enforced",
    { enforce_parameter_schema: false, schedules: [{ schedule: HOURLY }] },
    3,
  ],
] as const)("a deployment with the required values %s is accepted", async ([, fields, runs]) => {
  const { status, body } = await create(fields);
  expect(status).toBe(201);
  expect(await runsOf(body.id)).toBe(runs);
});

test("a schedule that lacks a value cannot be added or activated, and its deployment cannot be resumed", async () => {
  const { body } = await create({ schedules: [{ schedule: HOURLY, active: false, slug: "s" }] });
  const path = `/deployments/${body.id}/schedules`;
  const refusals = [
    await api<{ detail: string }>("POST", path, [{ schedule: HOURLY }]),
    await api<{ detail: string }>("PATCH", `${path}/${body.schedules[0]?.id}`, { active: true }),
    await api<{ detail: string }>("PATCH", `/deployments/${body.id}`, { schedules: [{ slug: "s", active: true }] }),
  ];
  for (const { status, body: answer } of refusals) {
    expect(status).toBe(422);
    expect(answer.detail).toContain("'name', 'times'");
  }
  expect((await api<unknown[]>("GET", path)).body).toHaveLength(1);
  const active = { active: true, parameters: { name: "a", times: 2 } };
  expect((await api("PATCH", `${path}/${body.schedules[0]?.id}`, active)).status).toBe(204);
  expect(await runsOf(body.id)).toBe(3);
  await api("POST", `/deployments/${body.id}/pause_deployment`);
  await api("PATCH", `/deployments/${body.id}`, { parameter_openapi_schema: { ...SCHEMA, required: ["other"] } });
  expect((await api("POST", `/deployments/${body.id}/resume_deployment`)).status).toBe(422);
});

test.for([
  ["by itself", {}],
  ["along with a change of another schedule", { schedules: [{ slug: "other", active: false }] }],
] as const)("a paused deployment is not resumed %s while a schedule lacks a value", async ([, fields]) => {
  const given = { parameters: { name: "a", times: 1 } };
  const schedules = ["lacking", "other"].map((slug) => ({ schedule: HOURLY, slug, ...given }));
  const { body } = await create({ paused: true, schedules });
  const path = `/deployments/${body.id}`;
  await api("PATCH", path, { parameter_openapi_schema: { ...SCHEMA, required: ["other"] } });
  const { status, body: answer } = await api<{ detail: string }>("PATCH", path, { paused: false, ...fields });
  expect(status).toBe(422);
  expect(answer.detail).toContain("'other'");
  expect((await api("GET", path)).body).toMatchObject({ paused: true });
});

test("schedules without slugs are created again, and are active unless they replace a paused one", async () => {
  const { body } = await create({
    schedules: [
      { schedule: HOURLY, active: false },
      { schedule: HOURLY, active: false, slug: "s" },
    ],
  });
  const change = (slug: string) => api("PATCH", `/deployments/${body.id}`, { schedules: [{ schedule: HOURLY, slug }] });
  expect((await change("new")).status).toBe(422);
  expect((await change("s")).status).toBe(204);
  expect(await runsOf(body.id)).toBe(0);
});

test("a schedule that lost a required value creates no runs until it has the value again", async () => {
  const { body } = await create({ parameters: { name: "a", times: 1 }, schedules: [{ schedule: HOURLY }] });
  expect(await runsOf(body.id)).toBe(3);
  expect((await api("PATCH", `/deployments/${body.id}`, { parameters: { name: "a" } })).status).toBe(204);
  expect(await runsOf(body.id)).toBe(0);
  await api("POST", `/deployments/${body.id}/schedule`, {});
  expect(await runsOf(body.id)).toBe(0);
  await api("PATCH", `/deployments/${body.id}`, { parameters: { name: "a", times: 3 } });
  expect(await runsOf(body.id)).toBe(3);
});
