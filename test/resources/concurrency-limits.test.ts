import { describe, expect, test } from "vitest";
import { TELL_COST } from "../support/cost";
import { api, unique } from "../support/world";

interface Limit {
  id: string;
  name: string;
  limit: number;
  active: boolean;
  active_slots: number;
  updated: string;
}

interface Taken {
  lease_id: string;
  limits: { id: string; name: string; limit: number }[];
}

async function aLimit(fields: Record<string, unknown> = {}): Promise<Limit> {
  const { status, body } = await api<Limit>("POST", "/v2/concurrency_limits/", {
    name: unique("limit"),
    limit: 2,
    ...fields,
  });
  if (status !== 201) throw new Error(JSON.stringify(body));
  return body;
}

const read = async (key: string) => (await api<Limit>("GET", `/v2/concurrency_limits/${key}`)).body;
const take = (names: readonly string[], fields: Record<string, unknown> = {}) =>
  api<Taken>("POST", "/v2/concurrency_limits/increment-with-lease", { names, slots: 1, ...fields });
const takeLoose = (names: readonly string[], slots = 1) =>
  api("POST", "/v2/concurrency_limits/increment", { names, slots });
const release = (leaseId: string) => api("POST", "/v2/concurrency_limits/decrement-with-lease", { lease_id: leaseId });
const eventsOf = async (id: string) => {
  const { body } = await api<{ events: { event: string; payload: unknown }[] }>("POST", "/events/filter", {
    filter: { resource: { id: [`prefect.concurrency-limit.${id}`] }, order: "ASC" },
  });
  return body.events;
};

describe("limits by name", () => {
  test("are listed by name, in pages", async () => {
    const prefix = unique("page");
    const made = await Promise.all(["c", "a", "b"].map((end) => aLimit({ name: `${prefix}-${end}`, active_slots: 1 })));
    const { body } = await api<Limit[]>("POST", "/v2/concurrency_limits/filter", { limit: 200 });
    const own = body.filter(({ name }) => name.startsWith(prefix));
    expect(own.map(({ name, active_slots }) => [name.slice(-1), active_slots])).toEqual([
      ["a", 1],
      ["b", 1],
      ["c", 1],
    ]);
    const before = body.findIndex(({ name }) => name.startsWith(prefix));
    const page = await api<Limit[]>("POST", "/v2/concurrency_limits/filter", { limit: 1, offset: before + 1 });
    expect(page.body.map(({ id }) => id)).toEqual([made[2]?.id]);
    expect((await api("POST", "/v2/concurrency_limits/filter", { limit: 201 })).status).toBe(422);
  });

  test.for([
    { limit: null },
    { name: null },
    { active: null },
    { active_slots: null },
    { slot_decay_per_second: null },
  ])("a change without a value is refused and changes nothing: %o", async (change) => {
    const limit = await aLimit();
    expect((await api("PATCH", `/v2/concurrency_limits/${limit.id}`, { ...change, denied_slots: 1 })).status).toBe(409);
    expect(await read(limit.id)).toMatchObject({ limit: 2, updated: limit.updated });
    expect((await api("PATCH", `/v2/concurrency_limits/${unique("none")}`, change)).status).toBe(404);
  });

  test("cannot take the name of another limit", async () => {
    const [one, other] = [await aLimit(), await aLimit()];
    expect((await api("PATCH", `/v2/concurrency_limits/${one.id}`, { name: other.name })).status).toBe(409);
    expect((await api("POST", "/v2/concurrency_limits/", { name: other.name, limit: 9 })).status).toBe(409);
    expect(await read(other.id)).toMatchObject({ name: other.name, limit: 2 });
  });

  test("keep the slots in use when they are renamed", async () => {
    const limit = await aLimit();
    await take([limit.name]);
    const name = unique("renamed");
    await api("PATCH", `/v2/concurrency_limits/${limit.name}`, { name });
    expect((await take([limit.name])).body.limits).toEqual([]);
    expect((await take([name], { slots: 2 })).status).toBe(423);
    expect((await read(name)).active_slots).toBe(1);
  });

  test("have all slots free when they are created again after a deletion", async () => {
    const { name } = await aLimit({ limit: 1 });
    await take([name]);
    expect((await api("DELETE", `/v2/concurrency_limits/${name}`)).status).toBe(204);
    expect((await take([name])).body.limits).toEqual([]);
    await aLimit({ name, limit: 1 });
    expect((await take([name])).status).toBe(200);
    expect((await take([name])).status).toBe(423);
  });

  test("have events for creation, changes and deletion", async () => {
    const { id, name } = await aLimit();
    await api("PATCH", `/v2/concurrency_limits/${id}`, { limit: 7 });
    await api("DELETE", `/v2/concurrency_limits/${id}`);
    const payload = { name, active: true, slot_decay_per_second: 0 };
    await expect
      .poll(async () => (await eventsOf(id)).map(({ event, payload }) => [event, payload]))
      .toEqual([
        ["prefect.concurrency-limit.created", { ...payload, limit: 2 }],
        ["prefect.concurrency-limit.updated", { ...payload, limit: 7 }],
        ["prefect.concurrency-limit.deleted", { ...payload, limit: 7 }],
      ]);
  });
});

describe("slots", () => {
  test("of an inactive limit are not checked, and are checked when the limit is active again", async () => {
    const { name } = await aLimit({ limit: 1, active: false });
    for (let count = 0; count < 3; count++) expect((await take([name])).body.limits).toMatchObject([{ name }]);
    await api("PATCH", `/v2/concurrency_limits/${name}`, { active: true });
    expect((await take([name])).status).toBe(200);
    expect((await take([name])).status).toBe(423);
  });

  test("beyond a limit are refused, and no slots of the other limits are taken", async () => {
    const [small, wide] = [await aLimit({ limit: 1 }), await aLimit({ limit: 9 })];
    const { status, body } = await take([wide.name, small.name], { slots: 2 });
    expect([status, body]).toEqual([422, { detail: "Slots requested is greater than the limit" }]);
    expect((await read(wide.name)).active_slots).toBe(0);
  });

  test("create_if_missing is accepted and ignored, and is a flag", async () => {
    for (const [path, rest] of [
      ["increment", { mode: "concurrency" }],
      ["decrement", { occupancy_seconds: 1 }],
    ] as const) {
      const name = unique("missing");
      const ask = (create_if_missing: unknown) =>
        api<unknown>("POST", `/v2/concurrency_limits/${path}`, { names: [name], slots: 1, ...rest, create_if_missing });
      for (const flag of [true, false, null]) expect(await ask(flag)).toMatchObject({ status: 200, body: [] });
      expect((await ask("perhaps")).status).toBe(422);
      expect((await api("GET", `/v2/concurrency_limits/${name}`)).status).toBe(404);
    }
  });

  test("of existing limits are taken once each, in the order of the names in the request", async () => {
    const [one, two] = [await aLimit(), await aLimit()];
    const { body } = await take([two.name, unique("none"), one.name, two.name]);
    expect(body.limits.map(({ id }) => id)).toEqual([two.id, one.id]);
    expect((await read(two.name)).active_slots).toBe(1);
  });

  test("a refused client gets a wait that is not 0 and not long, and grows with the number of waiters before it", async () => {
    const { name } = await aLimit({ limit: 1 });
    await take([name]);
    const waits: number[] = [];
    for (let count = 0; count < 4; count++) waits.push(Number((await take([name])).headers.get("retry-after")));
    expect(waits[0]).toBeGreaterThan(0);
    expect(waits[0]).toBeLessThanOrEqual(1);
    expect(waits).toEqual(waits.toSorted((a, b) => a - b));
    expect(waits.at(-1)).toBeGreaterThan(1);
  });

  test("without a lease are released by name, and slots of a lease by the lease", async () => {
    const { name } = await aLimit({ limit: 4 });
    const { body } = await take([name], { slots: 2 });
    await takeLoose([name], 2);
    await api("POST", "/v2/concurrency_limits/decrement", { names: [name], slots: 4, occupancy_seconds: 0.5 });
    expect((await read(name)).active_slots).toBe(2);
    expect((await release(body.lease_id)).status).toBe(204);
    expect((await read(name)).active_slots).toBe(0);
  });

  test("that a change sets to a number are in use", async () => {
    const { name } = await aLimit({ limit: 2, active_slots: 2 });
    expect((await takeLoose([name])).status).toBe(423);
    await api("PATCH", `/v2/concurrency_limits/${name}`, { active_slots: 0 });
    expect((await takeLoose([name])).status).toBe(200);
  });

  test("of a rate decay, and a refused client gets a slot after the wait", async () => {
    const { name } = await aLimit({ limit: 1, slot_decay_per_second: 1 });
    const rate = { mode: "rate_limit" };
    expect((await take([name], rate)).status).toBe(200);
    const refused = await take([name], rate);
    expect(refused.status).toBe(423);
    const seconds = Number(refused.headers.get("retry-after"));
    expect(seconds).toBeLessThanOrEqual(1);
    await new Promise((resolve) => setTimeout(resolve, seconds * 1000 + 5));
    expect((await take([name], rate)).status).toBe(200);
  });

  test.for([
    [{ slots: 1 }, "missing", ["body", "names"]],
    [{ slots: 1, names: "a" }, "list_type", ["body", "names"]],
    [{ slots: 1.5, names: ["a"] }, "int_from_float", ["body", "slots"]],
    [{ slots: 1, names: ["a"], mode: "haste" }, "literal_error", ["body", "mode"]],
    [{ slots: 1, names: ["a"], lease_duration: 59 }, "greater_than_equal", ["body", "lease_duration"]],
    [{ slots: 1, names: ["a"], holder: { type: "flow_run" } }, "missing", ["body", "holder", "id"]],
    [{ slots: 1, names: ["a"], holder: { id: crypto.randomUUID() } }, "missing", ["body", "holder", "type"]],
    [
      { slots: 1, names: ["a"], holder: { type: "worker", id: crypto.randomUUID() } },
      "literal_error",
      ["body", "holder", "type"],
    ],
  ] as const)("a malformed request is refused: %o", async ([body, type, loc]) => {
    const answer = await api<{ exception_detail: unknown[] }>(
      "POST",
      "/v2/concurrency_limits/increment-with-lease",
      body,
    );
    expect(answer.status).toBe(422);
    expect(answer.body.exception_detail).toMatchObject([{ type, loc }]);
  });
});

describe("leases", () => {
  test("on names without a limit cost one call of the object, and can be renewed and released", async () => {
    await take([unique("tag:none")]);
    const { body, headers } = await api<Taken>(
      "POST",
      "/v2/concurrency_limits/increment-with-lease",
      { names: [unique("tag:none")], slots: 1 },
      TELL_COST,
    );
    expect(body.limits).toEqual([]);
    expect(headers.get("x-sluice-cost")).toBe(
      "queries=0;round_trips=0;rows_read=0;rows_written=0;objects=1;r2_class_a=0;r2_class_b=0",
    );
    expect((await api("POST", `/v2/concurrency_limits/leases/${body.lease_id}/renew`)).status).toBe(204);
    expect((await release(body.lease_id)).status).toBe(204);
  });

  test("that have ended are not renewed", async () => {
    const { name } = await aLimit();
    const { body } = await take([name]);
    const renew = () => api("POST", `/v2/concurrency_limits/leases/${body.lease_id}/renew`, { lease_duration: 60 });
    expect((await renew()).status).toBe(204);
    await release(body.lease_id);
    expect(await renew()).toMatchObject({
      status: 410,
      body: { detail: "Lease not found - it may have expired or been revoked" },
    });
  });
});

describe("limits of tags", () => {
  interface TagLimit {
    id: string;
    tag: string;
    concurrency_limit: number;
    active_slots: string[];
  }

  async function aTagLimit(limit: number): Promise<TagLimit> {
    return (await api<TagLimit>("POST", "/concurrency_limits/", { tag: unique("tag"), concurrency_limit: limit })).body;
  }
  const readTag = async (tag: string) => (await api<TagLimit>("GET", `/concurrency_limits/tag/${tag}`)).body;
  const up = (names: string[], id: string) =>
    api<{ detail: string }>("POST", "/concurrency_limits/increment", { names, task_run_id: id });
  const down = (names: string[], id: string) =>
    api("POST", "/concurrency_limits/decrement", { names, task_run_id: id });

  test("list the task runs with slots, by whichever route the slots were taken", async () => {
    const { tag } = await aTagLimit(3);
    const [one, two] = [crypto.randomUUID(), crypto.randomUUID()];
    await up([tag], one);
    await take([`tag:${tag}`], { holder: { type: "task_run", id: two } });
    await take([`tag:${tag}`], { holder: { type: "flow_run", id: crypto.randomUUID() } });
    expect((await readTag(tag)).active_slots).toEqual([one, two]);
    expect((await up([tag], crypto.randomUUID())).status).toBe(423);
    await down([tag], one);
    expect((await readTag(tag)).active_slots).toEqual([two]);
    expect((await read(`tag:${tag}`)).active_slots).toBe(2);
  });

  test("of several tags grant all slots or none, and get all back at once", async () => {
    const [one, two] = [await aTagLimit(1), await aTagLimit(1)];
    const [first, second] = [crypto.randomUUID(), crypto.randomUUID()];
    await up([two.tag], first);
    const refused = await up([one.tag, two.tag], second);
    expect(refused.status).toBe(423);
    expect(refused.body.detail).toBe(`Concurrency limit for the ${two.tag} tag has been reached`);
    expect((await readTag(one.tag)).active_slots).toEqual([]);
    await down([two.tag], first);
    expect((await up([one.tag, two.tag], second)).status).toBe(200);
    await down([one.tag], second);
    expect([(await readTag(one.tag)).active_slots, (await readTag(two.tag)).active_slots]).toEqual([[], []]);
  });

  test.for([
    [
      0,
      (tag: string) => `The concurrency limit on tag "${tag}" is 0 and will deadlock if the task tries to run again.`,
    ],
    [-1, (tag: string) => `Concurrency limit for the ${tag} tag has been reached`],
  ] as const)("with %i slots give none", async ([limit, detail]) => {
    const { tag } = await aTagLimit(limit);
    expect(await up([tag], crypto.randomUUID())).toMatchObject({ status: 423, body: { detail: detail(tag) } });
  });

  test("are listed without the limits by name, which these routes do not have", async () => {
    const { tag } = await aTagLimit(1);
    const { name, id } = await aLimit();
    const { body } = await api<TagLimit[]>("POST", "/concurrency_limits/filter");
    expect(body.map((limit) => limit.tag)).toContain(tag);
    expect(body.map((limit) => limit.id)).not.toContain(id);
    expect((await api("GET", `/concurrency_limits/${id}`)).status).toBe(404);
    expect((await api("GET", `/concurrency_limits/tag/${name}`)).status).toBe(404);
  });

  test("are reset to the named task runs, which have slots even beyond the limit", async () => {
    const { tag } = await aTagLimit(1);
    await up([tag], crypto.randomUUID());
    const overrides = [crypto.randomUUID(), crypto.randomUUID()];
    await api("POST", `/concurrency_limits/tag/${tag}/reset`, { slot_override: overrides });
    expect(new Set((await readTag(tag)).active_slots)).toEqual(new Set(overrides));
    for (const id of overrides) await down([tag], id);
    expect((await read(`tag:${tag}`)).active_slots).toBe(0);
  });

  test("a tag that is too long for the name of a limit is refused", async () => {
    const { status, body } = await api<{ exception_detail: unknown[] }>("POST", "/concurrency_limits/", {
      tag: "a/b",
      concurrency_limit: 1,
    });
    expect(status).toBe(422);
    expect(body.exception_detail).toMatchObject([{ type: "string_pattern_mismatch", loc: ["body", "tag"] }]);
  });
});
