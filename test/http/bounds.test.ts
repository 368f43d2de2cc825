/**
 * The bounds of values in a request: depth, size, number and time. A value beyond its bound is refused and changes
 * nothing.
 */
import { env, SELF } from "cloudflare:test";
import { describe, expect, test, vi } from "vitest";
import { aFlow, aFlowRun, api, sendText, unique } from "../support/world.ts";

const count = async (table: string) =>
  (await env.DB.prepare(`select count(*) as n from ${table}`).first<{ n: number }>())?.n;

interface Refusal {
  exception_detail: { type: string; loc: (string | number)[] }[];
}
const locOf = (text: string) => (JSON.parse(text) as Refusal).exception_detail[0]?.loc;

describe("a time beyond the years 1 to 9999", () => {
  test.for([1e18, -1e18, 1e300, "10000-01-01T00:00:00Z", "0000-01-01T00:00:00Z", "0001-01-01T00:00:00+01:00"])(
    "%s is refused, and nothing is stored",
    async (scheduled_time) => {
      const [flow_id, before] = [await aFlow(), await count("flow_run")];
      const state = { type: "SCHEDULED", state_details: { scheduled_time } };
      const { status, text } = await sendText("POST", "/flow_runs/", JSON.stringify({ flow_id, state }));
      expect([status, locOf(text), await count("flow_run")]).toEqual([
        422,
        ["body", "state", "state_details", "scheduled_time"],
        before,
      ]);
      const [log] = [{ name: "n", level: 20, message: "m", timestamp: scheduled_time }];
      expect((await sendText("POST", "/logs/", JSON.stringify([log]))).status).toBe(422);
      expect((await api("POST", "/flow_runs/filter", {})).status).toBe(200);
    },
  );

  test.for(["0044-03-15T00:00:00Z", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z"])(
    "%s is accepted, and returned unchanged",
    async (scheduled_time) => {
      const run = await aFlowRun({ state: { type: "SCHEDULED", state_details: { scheduled_time } } });
      const { body } = await api("GET", `/flow_runs/${run.id}`);
      expect(body).toMatchObject({
        expected_start_time: scheduled_time,
        next_scheduled_start_time: scheduled_time,
        state: { state_details: { scheduled_time } },
      });
    },
  );
});

describe("JSON that nests too deep", () => {
  const nested = (depth: number) => `${"[".repeat(depth)}1.0${"]".repeat(depth)}`;

  test.for([1_100, 100_000])("%i levels in parameters: 422 with the place, and nothing is stored", async (depth) => {
    const [flow_id, before] = [await aFlow(), await count("flow_run")];
    const answer = await sendText(
      "POST",
      "/flow_runs/",
      `{"flow_id":"${flow_id}","parameters":{"x":${nested(depth)}}}`,
    );
    expect([answer.status, locOf(answer.text), await count("flow_run")]).toEqual([
      422,
      ["body", "parameters", "x"],
      before,
    ]);
  });

  test("the deepest accepted event is found with its payload, sent over HTTP or over a socket", async () => {
    const kind = unique("deep");
    const fields = `"occurred":"${new Date().toISOString()}","event":"${kind}","resource":{"prefect.resource.id":"r.${kind}"}`;
    // The list, the event, its payload and the arrays of the payload are 900 levels.
    const event = `{"id":"${crypto.randomUUID()}",${fields},"payload":{"x":${nested(897)}}}`;
    expect((await sendText("POST", "/events", `[${event}]`)).status).toBe(204);
    expect((await sendText("POST", "/events", `[${event.replace(nested(897), nested(898))}]`)).status).toBe(422);
    const socket = (await SELF.fetch("http://sluice/api/events/in", { headers: { upgrade: "websocket" } })).webSocket;
    socket?.accept();
    socket?.send(`{"id":"${crypto.randomUUID()}",${fields},"payload":{"x":${nested(898)}}}`);
    const filter = { event: { name: [kind] } };
    await vi.waitFor(async () => {
      const { text } = await sendText("POST", "/events/filter", JSON.stringify({ filter }));
      expect([text.includes(`{"x":${nested(897)}}`), text.includes(`{"x":${nested(898)}}`)]).toEqual([true, true]);
    }, 5_000);
    socket?.close();
  });

  test("850 levels are returned unchanged, in parameters and in state data", async () => {
    const flow_id = await aFlow();
    const body = `{"flow_id":"${flow_id}","parameters":{"x":${nested(850)}},"state":{"type":"COMPLETED","data":${nested(850)}}}`;
    const { status, text } = await sendText("POST", "/flow_runs/", body);
    expect([status, text.split(nested(850)).length]).toEqual([201, 3]);
    const { id } = JSON.parse(text) as { id: string };
    const read = await (await SELF.fetch(`http://sluice/api/flow_runs/${id}`)).text();
    expect(read.split(nested(850))).toHaveLength(3);
  });
});

describe("numbers", () => {
  test.for([
    ["9007199254740993", 422],
    ["1e18", 422],
    ["1e400", 422],
    ["20.0", 201],
    ["20.5", 422],
  ] as const)("a log's level of %s: %i", async ([level, expected]) => {
    const body = `[{"name":"n","level":${level},"message":"m","timestamp":"2026-01-01T00:00:00Z"}]`;
    const { status, text } = await sendText("POST", "/logs/", body);
    expect(status).toBe(expected);
    if (expected === 422) expect(locOf(text)).toEqual(["body", 0, "level"]);
  });
});

test("a queue's priority leaves smaller numbers for the queues before it", async () => {
  const [pool] = [unique("pool")];
  await sendText("POST", "/work_pools/", JSON.stringify({ name: pool, type: "t" }));
  const queue = (name: string, priority: number) =>
    sendText("POST", `/work_pools/${pool}/queues`, JSON.stringify({ name, priority }));
  expect((await queue("far", Number.MAX_SAFE_INTEGER)).status).toBe(422);
  expect((await queue("last", 2_147_483_647)).status).toBe(201);
  expect((await queue("before", 2_147_483_647)).status).toBe(201);
  expect((await api("GET", `/work_pools/${pool}/queues/last`)).body).toMatchObject({ priority: 2_147_483_648 });
});

describe("pages", () => {
  test.for([
    ["/flows/filter", { offset: "9223372036854775808" }, 422],
    ["/flows/filter", { offset: "9007199254740991" }, 200],
    ["/flows/filter", { offset: -1 }, 422],
    ["/flows/paginate", { page: "1000000000000" }, 200],
    ["/flow_runs/paginate", { page: "1000000000001" }, 422],
    ["/task_runs/paginate", { page: "1e18" }, 422],
  ] as const)("%s %o: %i", async ([path, body, expected]) => {
    const text = JSON.stringify(body).replaceAll(/"(\d[\de]*)"/g, "$1");
    expect((await sendText("POST", path, text)).status).toBe(expected);
  });
});

describe("texts and lists", () => {
  const long = "x".repeat(2_001);

  test.for([
    ["/flows/", { name: long }, ["body", "name"]],
    ["/flows/", { name: "f", tags: [long] }, ["body", "tags", 0]],
    ["/flows/", { name: "f", tags: Array.from({ length: 1_001 }, (_, index) => `t${index}`) }, ["body", "tags"]],
    ["/work_pools/", { name: long }, ["body", "name"]],
    ["/v2/concurrency_limits/", { name: long, limit: 1 }, ["body", "name"]],
    ["/flow_runs/filter", { flow_runs: { name: { like_: long } } }, ["body", "flow_runs", "name", "like_"]],
    [
      "/flow_runs/filter",
      { flow_runs: { name: { any_: Array.from({ length: 50_001 }, () => "") } } },
      ["body", "flow_runs", "name", "any_"],
    ],
    [
      "/flow_runs/filter",
      { flow_runs: { name: { any_: [long.repeat(1_000)] } } },
      ["body", "flow_runs", "name", "any_"],
    ],
  ] as const)("%s refuses texts and lists that are too long: %#", async ([path, body, loc]) => {
    const { status, text } = await sendText("POST", path, JSON.stringify(body));
    expect([status, locOf(text)]).toEqual([422, loc]);
  });

  test("a million invalid items are refused because of the length of the list, and not one by one", async () => {
    const { status, text } = await sendText("POST", "/flows/", `{"name":"f","tags":[${"0,".repeat(1_000_000)}0]}`);
    expect(status).toBe(422);
    expect((JSON.parse(text) as Refusal).exception_detail).toHaveLength(1);
  });

  test("an event with a resource id that is too long for an index is refused", async () => {
    const event = {
      id: crypto.randomUUID(),
      occurred: "2026-01-01T00:00:00Z",
      event: "e",
      resource: { "prefect.resource.id": "r".repeat(1_100_000) },
    };
    expect((await sendText("POST", "/events", JSON.stringify([event]))).status).toBe(422);
  });
});

describe("users' JSON is shown letter for letter", () => {
  const json =
    '{"big":1152921504606846977,"float":3.0,"long":123456789012345678901234567890,"e":1e22,"neg":-0.0,"__proto__":{"a":2.0},"list":[1.0,[2.50]],"constructor":1}';

  test("in variables", async () => {
    const name = unique("v");
    expect((await sendText("POST", "/variables/", `{"name":"${name}","value":${json}}`)).text).toContain(json);
    expect((await sendText("POST", "/variables/filter", "{}")).text).toContain(`"value":${json}`);
    await sendText("PATCH", `/variables/name/${name}`, `{"value":[1.0]}`);
    expect(await (await SELF.fetch(`http://sluice/api/variables/name/${name}`)).text()).toContain('"value":[1.0]');
  });

  test("in a run's parameters, context, job variables, labels and state data", async () => {
    const flow_id = await aFlow();
    const made = await sendText(
      "POST",
      "/flow_runs/",
      `{"flow_id":"${flow_id}","parameters":${json},"context":${json},"job_variables":${json},"labels":{"n":5.0,"b":9007199254740993},"state":{"type":"COMPLETED","data":${json}}}`,
    );
    expect(made.status).toBe(201);
    const { id } = JSON.parse(made.text) as { id: string };
    expect((await sendText("PATCH", `/flow_runs/${id}/labels`, '{"more":7.0}')).status).toBe(204);
    const text = await (await SELF.fetch(`http://sluice/api/flow_runs/${id}`)).text();
    for (const field of ["parameters", "context", "job_variables", "data"])
      expect(text).toContain(`"${field}":${json}`);
    for (const label of ['"n":5.0', '"b":9007199254740993', '"more":7.0']) expect(text).toContain(label);
    expect((await sendText("POST", "/flow_runs/filter", "{}")).text).toContain(`"parameters":${json}`);
    const states = await (await SELF.fetch(`http://sluice/api/flow_run_states/?flow_run_id=${id}`)).text();
    expect(states).toContain(`"data":${json}`);
  });

  test("in deployments, and in their runs", async () => {
    const flow_id = await aFlow();
    const schema = `{"type":"object","properties":{"size":{"type":"number","default":1152921504606846977}}}`;
    const made = await sendText(
      "POST",
      "/deployments/",
      `{"name":"${unique("d")}","flow_id":"${flow_id}","parameters":${json},"job_variables":${json},"parameter_openapi_schema":${schema},"pull_steps":[${json}]}`,
    );
    expect(made.status).toBe(201);
    for (const field of ["parameters", "job_variables"]) expect(made.text).toContain(`"${field}":${json}`);
    expect(made.text).toContain(schema);
    expect(made.text).toContain(`"pull_steps":[${json}]`);
    const { id } = JSON.parse(made.text) as { id: string };
    const run = await sendText("POST", `/deployments/${id}/create_flow_run`, '{"parameters":{"own":4.0}}');
    expect(run.text).toContain(`"parameters":${json.slice(0, -1)},"own":4.0}`);
  });

  test("in events, with the microseconds of times far from now", async () => {
    const id = crypto.randomUUID();
    const event = `{"id":"${id}","occurred":"2500-01-01T00:00:00.123457Z","event":"e.${id}","resource":{"prefect.resource.id":"r.${id}"},"payload":${json}}`;
    expect((await sendText("POST", "/events", `[${event}]`)).status).toBe(204);
    const filter = {
      event: { name: [`e.${id}`] },
      occurred: { since: "2499-01-01T00:00:00Z", until: "2501-01-01T00:00:00Z" },
    };
    const { text } = await sendText("POST", "/events/filter", JSON.stringify({ filter }));
    expect(text).toContain(`"payload":${json}`);
    expect(text).toContain('"occurred":"2500-01-01T00:00:00.123457Z"');
  });
});
