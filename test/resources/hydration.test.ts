import { env } from "cloudflare:test";
import { expect, test } from "vitest";
import { MAX_JSON_DEPTH } from "#lib/json";
import { aDeployment, api, sendText, unique } from "../support/world";

interface Answer {
  id: string;
  detail: string;
}

const json = (value: unknown) => ({ __prefect_kind: "json", value });
const variable = (name: unknown) => ({ __prefect_kind: "workspace_variable", variable_name: name });
const nested = (depth: number) => "[".repeat(depth) + "]".repeat(depth);

/** A text of 60,000 letters in `times` layers of JSON text. */
function textInText(times: number): unknown {
  const text = Array.from({ length: times }).reduce<string>((inner) => JSON.stringify(inner), "t".repeat(60_000));
  return Array.from({ length: times }).reduce<unknown>(json, text);
}

const anUncheckedDeployment = async () => (await aDeployment({ enforce_parameter_schema: false })).id;

async function aVariable(value: unknown): Promise<string> {
  const name = unique("hydrated").replaceAll("-", "_");
  expect((await api("POST", "/variables/", { name, value })).status).toBe(201);
  return name;
}

const storedParameters = (deployment: string) =>
  env.DB.prepare("select parameters from flow_run where deployment_id = ?")
    .bind(deployment)
    .first<string>("parameters");

test.for([
  ["a text that nests too deep", () => json(nested(MAX_JSON_DEPTH + 1))],
  ["a text that nests too deep where it stands", () => [[[json(nested(MAX_JSON_DEPTH - 2))]]]],
  ["a text in a text that nests too deep", () => json(json(JSON.stringify(nested(100_000))))],
  ["one variable again and again", async () => Array(3000).fill(variable(await aVariable("v".repeat(4000))))],
  ["one text again and again", () => Array(4).fill(textInText(6))],
  ["more variables than may be", () => Array.from({ length: 1001 }, (_, index) => variable(`v${index}`))],
  ["names within names", () => Array.from({ length: 400 }).reduce((inner) => variable(inner), json("1"))],
  ["a number as a name", () => variable(json("1.0"))],
] as const)("parameters with %s are refused, and nothing is stored", async ([, make]) => {
  const id = await anUncheckedDeployment();
  const parameters = { x: await make() };
  const single = await api<Answer>("POST", `/deployments/${id}/create_flow_run`, { parameters });
  expect(single.status).toBe(400);
  const bulk = await api<{ results: { status: string }[] }>("POST", `/deployments/${id}/create_flow_run/bulk`, [
    { parameters },
  ]);
  if (bulk.status === 200) expect(bulk.body.results).toMatchObject([{ status: "FAILED" }]);
  else expect(bulk.status).toBe(400);
  const changed = await api<Answer>("PATCH", `/deployments/${id}`, { parameters });
  expect(changed.status).toBe(400);
  expect(await storedParameters(id)).toBeNull();
});

test("filled-in values are stored unchanged, including the names of JavaScript's own properties", async () => {
  const id = await anUncheckedDeployment();
  const text = '{"__proto__":1.0,"constructor":{"toString":1152921504606846977},"list":[1e400,0.10]}';
  const name = await aVariable({ "1": 2 });
  const body = `{"parameters":{"x":{"__prefect_kind":"json","value":${JSON.stringify(text)}},"__proto__":2.0,"y":${JSON.stringify(variable(name))}}}`;
  const created = await sendText("POST", `/deployments/${id}/create_flow_run`, body);
  expect(created.status).toBe(201);
  expect(await storedParameters(id)).toBe(`{"x":${text},"__proto__":2.0,"y":{"1":2}}`);
});

test("parameters of the maximum JSON depth are filled in and checked", async () => {
  const id = await anUncheckedDeployment();
  const parameters = { x: json(nested(MAX_JSON_DEPTH - 1)) };
  expect((await api("POST", `/deployments/${id}/create_flow_run`, { parameters })).status).toBe(201);
  expect(await storedParameters(id)).toBe(`{"x":${nested(MAX_JSON_DEPTH - 1)}}`);
});
