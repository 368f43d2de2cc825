/** Pages of other resources with long values: a page is complete, and no round trip reads more than one portion. */
import { expect, test } from "vitest";
import { aFlow, aFlowRun, api, propose, unique } from "../support/world";
import { blockWorld, refer } from "../resources/blocks-world";
import { MOST_READ, readLarge, text } from "./support";

type Thing = Record<string, unknown> & { id: string; name: string };

/** Creates so many rows. The second row is small. */
async function made(
  count: number,
  make: (index: number, isLong: boolean) => Promise<{ status: number; body: unknown }>,
) {
  const things: Thing[] = [];
  for (let index = 0; index < count; index++) {
    const { status, body } = await make(index, index !== 1);
    expect([200, 201]).toContain(status);
    things.push(body as Thing);
  }
  return things;
}

/** Expects that the list has these rows, each equal to the answer of its GET, and that the list is read in portions. */
async function expectWhole(path: string, body: unknown, things: readonly Thing[], one: (thing: Thing) => string) {
  const list = await readLarge("POST", path, body);
  const shown = (Array.isArray(list.body) ? list.body : list.body["results"]) as Thing[];
  const ids = new Set(things.map(({ id }) => id));
  const single = await Promise.all(things.map(async (thing) => (await api<Thing>("GET", one(thing))).body));
  const byId = (a: Thing, b: Thing) => (a.id < b.id ? -1 : 1);
  expect(shown.filter(({ id }) => ids.has(id)).toSorted(byId)).toEqual(single.toSorted(byId));
  expect(list.largest).toBeLessThan(MOST_READ);
}

test("block documents with documents inside them, and block schemas", async () => {
  const { make, type, schema } = await blockWorld(["secret"]);
  const inner = await make({ secret: text(300_000) });
  const ids = { block_type_id: type, block_schema_id: schema };
  const documents = await made(8, (index, isLong) =>
    api("POST", "/block_documents/", {
      name: unique("large"),
      ...ids,
      data: isLong ? { secret: text(200_000), open: text(200_000), inner: refer(inner) } : { index },
    }),
  );
  const one = ({ id }: Thing) => `/block_documents/${id}?include_secrets=true`;
  const filter = { block_documents: { name: { like_: "large" } }, include_secrets: true };
  await expectWhole("/block_documents/filter", filter, documents, one);

  const fields = { type: "object", title: "large", description: text(400_000) };
  const schemas = await made(6, (index) =>
    api("POST", "/block_schemas/", { fields: { ...fields, index }, block_type_id: type, version: `v${index}` }),
  );
  const among = { block_schemas: { id: { any_: schemas.map(({ id }) => id) } } };
  await expectWhole("/block_schemas/filter", among, schemas, ({ id }) => `/block_schemas/${id}`);
});

test("deployments and their versions", async () => {
  const flow = await aFlow();
  const long = (index: number, isLong: boolean) =>
    isLong
      ? { parameters: { p: text(400_000), index }, job_variables: { j: text(400_000) }, description: text(40_000) }
      : { parameters: { index } };
  const deployments = await made(5, (index, isLong) =>
    api("POST", "/deployments/", {
      name: unique("d"),
      flow_id: flow,
      ...long(index, isLong),
      schedules: [0, 1].map((n) => ({
        schedule: { interval: 3600 + n },
        parameters: { s: text(index === 4 ? 60_000 : 4) },
      })),
    }),
  );
  const one = ({ id }: Thing) => `/deployments/${id}`;
  await expectWhole("/deployments/filter", { flows: { id: { any_: [flow] } } }, deployments, one);
  await expectWhole("/deployments/paginate", { flows: { id: { any_: [flow] } } }, deployments, one);

  const [{ id } = { id: "" }] = deployments;
  for (let index = 0; index < 4; index++)
    await api("PATCH", `/deployments/${id}`, { version: `v${index}`, ...long(index, index !== 2) });
  const versions = await readLarge("GET", `/deployments/${id}/versions`);
  const shown = versions.body as unknown as { ordinal: number; version: string | null; description: string | null }[];
  expect(shown.map(({ ordinal, version }) => [ordinal, version])).toEqual([
    [5, "v3"],
    [4, "v2"],
    [3, "v1"],
    [2, "v0"],
    [1, null],
  ]);
  expect(shown[0]?.description).toBe(text(40_000));
  expect(versions.largest).toBeLessThan(MOST_READ);
});

test("deployments that one request deletes", async () => {
  const flow = await aFlow();
  const things = await made(3, () =>
    api("POST", "/deployments/", { name: unique("d"), flow_id: flow, parameters: { p: text(500_000) } }),
  );
  const name = { any_: things.map((thing) => thing.name) };
  const gone = await readLarge("POST", "/deployments/bulk_delete", { deployments: { name } });
  expect((gone.body["deleted"] as string[]).toSorted()).toEqual(things.map(({ id }) => id).toSorted());
  expect(gone.largest).toBeLessThan(100_000);
});

const longTags = (isLong: boolean) =>
  isLong ? Array.from({ length: 400 }, (_, n) => `${n}${text(1_800)}`) : ["short"];

test("flows, one by one and deleted by one request", async () => {
  const prefix = unique("large");
  const flows = await made(5, (index, isLong) =>
    api("POST", "/flows/", { name: `${prefix}-${index}`, tags: longTags(isLong) }),
  );
  const body = { flows: { name: { like_: prefix } } };
  await expectWhole("/flows/filter", body, flows, ({ id }) => `/flows/${id}`);
  await expectWhole("/flows/paginate", body, flows, ({ id }) => `/flows/${id}`);
  const gone = await readLarge("POST", "/flows/bulk_delete", body);
  expect((gone.body["deleted"] as string[]).toSorted()).toEqual(flows.map(({ id }) => id).toSorted());
  expect(gone.largest).toBeLessThan(MOST_READ);
});

test("variables", async () => {
  const prefix = unique("v").replaceAll("-", "_");
  const variables = await made(5, (index, isLong) =>
    api("POST", "/variables/", { name: `${prefix}_${index}`, value: { index }, tags: longTags(isLong) }),
  );
  const body = { variables: { name: { like_: `${prefix}%` } } };
  await expectWhole("/variables/filter", body, variables, ({ id }) => `/variables/${id}`);
});

test("work pools and queues", async () => {
  const pools = await made(6, (index, isLong) =>
    api("POST", "/work_pools/", {
      name: unique(`pool${index}`),
      description: text(80_000),
      ...(isLong && {
        base_job_template: { job_configuration: { command: text(500_000) }, variables: { properties: {} } },
      }),
    }),
  );
  const ids = { any_: pools.map(({ id }) => id) };
  await expectWhole("/work_pools/filter", { work_pools: { id: ids } }, pools, ({ name }) => `/work_pools/${name}`);

  const [{ name: pool } = { name: "" }] = pools;
  const queues = await made(20, (index, isLong) =>
    api("POST", `/work_pools/${pool}/queues`, {
      name: `q${index}`,
      description: isLong ? "é".repeat(99_000) : "short",
    }),
  );
  const one = ({ id }: Thing) => `/work_queues/${id}`;
  await expectWhole(
    `/work_pools/${pool}/queues/filter`,
    {},
    queues,
    ({ name }) => `/work_pools/${pool}/queues/${name}`,
  );
  await expectWhole("/work_queues/filter", { work_queues: { id: { any_: queues.map(({ id }) => id) } } }, queues, one);
});

test("inputs and states of a run", async () => {
  const { id } = await aFlowRun({ state: { type: "RUNNING" } });
  for (let index = 0; index < 4; index++)
    await api("POST", `/flow_runs/${id}/input`, { key: `k${index}`, value: index === 1 ? "short" : text(900_000) });
  const inputs = await readLarge("POST", `/flow_runs/${id}/input/filter`, { prefix: "k", limit: 10 });
  const values = (inputs.body as unknown as { key: string; value: string }[]).map(({ key, value }) => [
    key,
    value.length,
  ]);
  expect(values).toEqual([
    ["k0", text(900_000).length],
    ["k1", 5],
    ["k2", text(900_000).length],
    ["k3", text(900_000).length],
  ]);
  expect(inputs.largest).toBeLessThan(MOST_READ);

  for (let index = 0; index < 4; index++)
    await propose(id, { type: "RUNNING", name: `n${index}`, data: { d: text(800_000) }, message: "m" }, true);
  const states = await readLarge("GET", `/flow_run_states/?flow_run_id=${id}`);
  const shown = states.body as unknown as { name: string; data: { d: string } | null }[];
  expect(shown.map(({ name }) => name)).toEqual(["Running", "n0", "n1", "n2", "n3"]);
  expect(shown.at(-1)?.data?.d).toBe(text(800_000));
  expect(states.largest).toBeLessThan(MOST_READ);
});

test("logs", async () => {
  const { id } = await aFlowRun();
  const messages = [text(1_200_000), "short", text(900_000), text(20_000), text(1_300_000)];
  for (const [second, message] of messages.entries())
    await api("POST", "/logs/", [
      { name: "l", level: 20, message, timestamp: `2026-01-01T00:00:0${second}Z`, flow_run_id: id },
      { name: "l", level: 20, message: "beside it", timestamp: `2026-01-01T00:00:0${second}.5Z`, flow_run_id: id },
    ]);
  const logs = { flow_run_id: { any_: [id] } };
  const page = await readLarge("POST", "/logs/filter", { logs, offset: 1, limit: 8 });
  const all = messages.flatMap((message) => [message, "beside it"]);
  expect((page.body as unknown as { message: string }[]).map(({ message }) => message)).toEqual(all.slice(1, 9));
  expect(page.largest).toBeLessThan(MOST_READ);
});
