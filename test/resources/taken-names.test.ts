/** No route gives a row the name of another row of its kind. */
import { describe, expect, test } from "vitest";
import { aFlow, api, unique } from "../support/world";

interface Named {
  id: string;
  name: string;
}

async function made(path: string, fields: Record<string, unknown>): Promise<Named> {
  const answer = await api<Named>("POST", path, { name: unique("thing").replaceAll("-", "_"), ...fields });
  expect(answer.status).toBeLessThan(300);
  return answer.body;
}

describe.for([
  ["variable", "/variables/", { value: 1 }],
  ["concurrency limit", "/v2/concurrency_limits/", { limit: 1 }],
  ["work queue", "/work_queues/", {}],
] as const)("a %s", ([, path, fields]) => {
  test("is not renamed to a taken name, and stays unchanged", async () => {
    const [one, other] = [await made(path, fields), await made(path, fields)];
    expect(await api("PATCH", `${path}${one.id}`, { name: other.name })).toMatchObject({ status: 409 });
    expect((await api<Named>("GET", `${path}${one.id}`)).body.name).toBe(one.name);
    expect((await api<Named>("GET", `${path}${other.id}`)).body.id).toBe(other.id);
  });

  test("can be renamed to its own name and to a free name", async () => {
    const one = await made(path, fields);
    expect((await api("PATCH", `${path}${one.id}`, { name: one.name })).status).toBeLessThan(300);
    const free = unique("free").replaceAll("-", "_");
    expect((await api("PATCH", `${path}${one.id}`, { name: free })).status).toBeLessThan(300);
    expect((await api<Named>("GET", `${path}${one.id}`)).body.name).toBe(free);
  });
});

test("a variable cannot be renamed to a used name by the route with its name either", async () => {
  const [one, other] = [await made("/variables/", { value: 1 }), await made("/variables/", { value: 2 })];
  expect(await api("PATCH", `/variables/name/${one.name}`, { name: other.name })).toMatchObject({ status: 409 });
  expect((await api<{ value: number }>("GET", `/variables/name/${other.name}`)).body.value).toBe(2);
  expect((await api<{ value: number }>("GET", `/variables/name/${one.name}`)).body.value).toBe(1);
});

test("a limit cannot be renamed to a used name by the route with its name either", async () => {
  const [one, other] = [
    await made("/v2/concurrency_limits/", { limit: 1 }),
    await made("/v2/concurrency_limits/", { limit: 2 }),
  ];
  expect(await api("PATCH", `/v2/concurrency_limits/${one.name}`, { name: other.name })).toMatchObject({ status: 409 });
  expect((await api<{ limit: number }>("GET", `/v2/concurrency_limits/${other.name}`)).body.limit).toBe(2);
});

test("a queue cannot get the name of another queue of its pool, but can have the name of another pool's queue", async () => {
  const pools = [unique("pool"), unique("pool")] as const;
  for (const name of pools) {
    await api("POST", "/work_pools/", { name, type: "process" });
    for (const queue of ["a", "b"]) await api("POST", `/work_pools/${name}/queues`, { name: queue });
  }
  expect(await api("PATCH", `/work_pools/${pools[0]}/queues/a`, { name: "b" })).toMatchObject({ status: 409 });
  expect(await api("PATCH", `/work_pools/${pools[0]}/queues/a`, { name: "c" })).toMatchObject({ status: 204 });
});

const HOURLY = { interval: 3600, anchor_date: "2020-01-01T00:00:00Z" };
type Deployment = Named & { schedules: { id: string; slug: string }[] };

test("a schedule does not get the slug of another schedule of its deployment", async () => {
  const schedules = ["a", "b"].map((slug) => ({ slug, schedule: HOURLY }));
  const body = { name: unique("deployment"), flow_id: await aFlow(), schedules };
  const { body: deployment } = await api<Deployment>("POST", "/deployments/", body);
  const path = `/deployments/${deployment.id}`;
  const [one] = deployment.schedules.filter(({ slug }) => slug === "a");
  expect(await api("PATCH", `${path}/schedules/${one?.id}`, { slug: "b" })).toMatchObject({ status: 409 });
  expect(await api("PATCH", path, { schedules: [{ slug: "b", replaces: "a" }] })).toMatchObject({ status: 422 });
  expect(await api("POST", `${path}/schedules`, [{ slug: "b", schedule: HOURLY }])).toMatchObject({ status: 409 });
  const { body: after } = await api<Deployment>("GET", path);
  expect(after.schedules.map(({ slug }) => slug).toSorted()).toEqual(["a", "b"]);
});
