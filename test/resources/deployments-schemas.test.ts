import { env } from "cloudflare:test";
import { expect, test } from "vitest";
import { aFlow, api, sendText, unique } from "../support/world";

type Schema = Record<string, unknown>;
interface Refusal {
  detail: string;
  exception_detail: { msg: string }[];
}

const SLOW = "^(a+)+$";
const text = `${"a".repeat(5000)}!`;

/** Each level refers twice to the next level: 2^40 paths. */
const doubling = (levels = 40): Schema => ({
  properties: { x: { $ref: "#/$defs/s0" } },
  $defs: Object.fromEntries(
    Array.from({ length: levels }, (_, level) => [
      `s${level}`,
      level === levels - 1 ? true : { allOf: [1, 2].map(() => ({ $ref: `#/$defs/s${level + 1}` })) },
    ]),
  ),
});

const aBody = async (schema: Schema, fields: Record<string, unknown> = {}) => ({
  name: unique("schema"),
  flow_id: await aFlow(),
  parameter_openapi_schema: schema,
  ...fields,
});
const create = async (schema: Schema, fields: Record<string, unknown> = {}) =>
  api<Refusal & { id: string }>("POST", "/deployments/", await aBody(schema, fields));
const run = (id: string, parameters: Record<string, unknown>) =>
  api<Refusal & { parameters: unknown }>("POST", `/deployments/${id}/create_flow_run`, { parameters });

test.for<[string, Schema, string]>([
  ["a pattern that is none", { properties: { x: { pattern: "(" } } }, "'(' is not a 'regex'"],
  ["a pattern of names that is none", { patternProperties: { "[": {} } }, "'[' is not a 'regex'"],
  ["a slow pattern", { properties: { x: { pattern: SLOW } } }, `does not match '${SLOW}'`],
  [
    "a slow pattern of names",
    { properties: { x: true }, propertyNames: { pattern: SLOW } },
    `does not match '${SLOW}'`,
  ],
  ["ways that double", doubling(), "The schema takes too much work to validate by."],
])("a deployment that enforces %s is refused, and not stored", async ([, schema, words]) => {
  const body = await aBody(schema, { enforce_parameter_schema: true, parameters: { x: text } });
  const { status, body: answer } = await api<Refusal>("POST", "/deployments/", body);
  expect(status).toBe(422);
  expect(JSON.stringify(answer)).toContain(words);
  expect((await api("POST", "/deployments/count", { deployments: { name: { any_: [body.name] } } })).body).toBe(0);
});

test.for<[string, Schema, number, string]>([
  ["a pattern that is none", { properties: { x: { pattern: "(" } } }, 422, "Invalid schema: '(' is not a 'regex'"],
  ["a slow pattern", { properties: { x: { pattern: SLOW } } }, 409, `does not match '${SLOW}'`],
  ["ways that double", doubling(), 422, "Invalid schema: The schema takes too much work to validate by."],
  [
    "a shape that is none",
    { properties: { x: { minLength: -1 } } },
    422,
    "Invalid schema: -1 is less than the minimum of 0",
  ],
])("a deployment with %s is accepted, and its runs are refused", async ([, schema, status, words]) => {
  const { body } = await create(schema);
  const single = await run(body.id, { x: text });
  expect([single.status, single.body.detail]).toEqual([status, expect.stringContaining(words)]);
  const bulk = await api<{ results: { status: string; error: string }[] }>(
    "POST",
    `/deployments/${body.id}/create_flow_run/bulk`,
    [{ parameters: { x: text } }],
  );
  expect(bulk.body.results).toMatchObject([{ status: "FAILED", error: expect.stringContaining(words.slice(16)) }]);
  const changed = await api<Refusal>("PATCH", `/deployments/${body.id}`, { parameters: { x: text } });
  expect([changed.status, changed.body.detail]).toEqual([status, expect.stringContaining(words)]);
  const runs = await env.DB.prepare("select count(*) as n from flow_run where deployment_id = ?")
    .bind(body.id)
    .first("n");
  expect(runs).toBe(0);
});

test("a pattern that cannot be run in linear time refuses no value", async () => {
  const { status, body } = await create(
    { properties: { x: { type: "string", pattern: "^(a)\\1$" } } },
    { enforce_parameter_schema: true, parameters: { x: "b" } },
  );
  expect(status).toBe(201);
  expect((await run(body.id, { x: "c" })).status).toBe(201);
  expect((await run(body.id, { x: 1 })).status).toBe(409);
});

test("a pool with a template that has an invalid pattern, or a slow pattern for a default, is refused", async () => {
  for (const pattern of ["(", SLOW]) {
    const name = unique("pool");
    const variables = { properties: { x: { type: "string", pattern, default: text } } };
    const base_job_template = { job_configuration: { x: "{{ x }}" }, variables };
    const { status } = await api("POST", "/work_pools/", { name, type: "process", base_job_template });
    expect(status).toBe(422);
    expect((await api("GET", `/work_pools/${name}`)).status).toBe(404);
  }
});

test("all runs of one bulk request share the bound on the work of checks", async () => {
  const { body } = await create(doubling());
  const { status, body: answer } = await api<{ results: { status: string }[] }>(
    "POST",
    `/deployments/${body.id}/create_flow_run/bulk`,
    Array.from({ length: 100 }, () => ({ parameters: { x: 1 } })),
  );
  expect(status).toBe(200);
  expect(new Set(answer.results.map((result) => result.status))).toEqual(new Set(["FAILED"]));
});

test("names of labels are stored, including the names of JavaScript's own properties", async () => {
  const text = '{"__proto__":1.0,"constructor":"a"}';
  const body = `{"name":${JSON.stringify(unique("labels"))},"labels":${text}}`;
  expect((await sendText("POST", "/flows/", body)).text).toContain(`"labels":${text}`);
  const refused = await api("POST", "/flows/", { name: unique("labels"), labels: { good: 1, bad: [] } });
  expect(refused.status).toBe(422);
  expect(JSON.stringify(refused.body)).toContain('["body","labels","bad"');
});
