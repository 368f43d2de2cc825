import { env } from "cloudflare:test";
import { expect, test } from "vitest";
import { parseJson } from "#lib/json";
import { aFlowRun, api, propose, type SetState, unique } from "../support/world";

const KEYSET = { schema: "s-schema", response: "s-response", description: "s-description" };
const SCHEMA = { type: "object", properties: { n: { type: "integer" } }, required: ["n"] };

async function aPausedRun(details: Record<string, unknown> = {}): Promise<string> {
  const run = await aFlowRun({ state: { type: "RUNNING" } });
  const pause_timeout = new Date(Date.now() + 3_600_000).toISOString();
  const { status } = await propose(run.id, {
    type: "PAUSED",
    state_details: { pause_key: "k", pause_timeout, ...details },
  });
  if (status !== "ACCEPT") throw new Error(`the run was not paused: ${status}`);
  return run.id;
}

async function anAskingRun(schema: unknown = SCHEMA): Promise<string> {
  const id = await aPausedRun({ run_input_keyset: KEYSET });
  await api("POST", `/flow_runs/${id}/input`, {
    key: KEYSET.schema,
    value: typeof schema === "string" ? schema : JSON.stringify(schema),
  });
  return id;
}

const resume = (id: string, body?: unknown) => api<SetState>("POST", `/flow_runs/${id}/resume`, body);
const stateOf = async (id: string) => (await api<{ state_name: string }>("GET", `/flow_runs/${id}`)).body.state_name;
const responseOf = (id: string) => api<unknown>("GET", `/flow_runs/${id}/input/${KEYSET.response}`);

test("a run that waits in its process runs again", async () => {
  const id = await aPausedRun();
  const { status, body } = await resume(id);
  expect([status, body.status, body.state?.name]).toEqual([201, "ACCEPT", "Running"]);
});

test("a run that is not paused or does not exist is not resumed", async () => {
  const run = await aFlowRun({ state: { type: "RUNNING" } });
  const { status, body } = await resume(run.id, {});
  expect([status, body]).toEqual([
    200,
    {
      state: null,
      status: "ABORT",
      details: { type: "abort_details", reason: "Cannot resume a flow run that is not paused." },
    },
  ]);
  expect((await resume(crypto.randomUUID())).status).toBe(404);
  expect((await resume(run.id, { run_input: [1] })).status).toBe(422);
});

test("a run that asked for input is resumed with the input", async () => {
  const id = await anAskingRun();
  const { status, body } = await resume(id, { run_input: { n: 3 } });
  expect([status, body.status]).toEqual([201, "ACCEPT"]);
  expect((await responseOf(id)).body).toEqual({ n: 3 });
});

const INVALID = { $ref: "#" };

test.for<[string, unknown, unknown, string]>([
  [
    "a wrong type",
    SCHEMA,
    { n: "x" },
    "Reason: Validation failed for field 'n'. Failure reason: 'x' is not of type 'integer'",
  ],
  ["a missing value", SCHEMA, {}, "Reason: Validation failed. Failure reason: 'n' is a required property"],
  [
    "an unknown variable",
    SCHEMA,
    { n: { __prefect_kind: "workspace_variable", variable_name: "nobody" } },
    "Error hydrating run input: Variable 'nobody' not found in workspace.",
  ],
  ["a schema that is no JSON", "{", { n: 1 }, "Run input schema is not valid JSON."],
  [
    "a number beyond what the schema allows by one",
    '{"properties":{"n":{"exclusiveMaximum":9007199254740993}}}',
    { n: parseJson("9007199254740993") },
    "Reason: Validation failed for field 'n'. Failure reason:" +
      " 9007199254740993 is greater than or equal to the maximum of 9007199254740993",
  ],
  [
    "a pattern that is none",
    { properties: { n: { pattern: "(" } } },
    { n: "a" },
    "Invalid schema: '(' is not a 'regex'",
  ],
  ["a schema that nests too deep", "[".repeat(100_000), { n: 1 }, "Run input schema is not valid JSON."],
  [
    "a text that nests too deep",
    SCHEMA,
    { n: { __prefect_kind: "json", value: "[".repeat(1000) } },
    "Error hydrating run input: Invalid JSON: JSON may nest at most 900 levels deep",
  ],
  ["a schema in a circle", INVALID, { n: 1 }, "Invalid schema: Unable to validate schema with circular references."],
])("with %s the run stays paused and nothing is stored", async ([, schema, run_input, reason]) => {
  const id = await anAskingRun(schema);
  const { status, body } = await resume(id, { run_input });
  expect([status, body.status, body.details, body.state?.type]).toEqual([
    200,
    "REJECT",
    { type: "abort_details", reason },
    "PAUSED",
  ]);
  expect(await stateOf(id)).toBe("Paused");
  expect((await responseOf(id)).status).toBe(404);
});

test("without the schema of its input the run stays paused", async () => {
  const id = await aPausedRun({ run_input_keyset: KEYSET });
  expect((await resume(id, { run_input: { n: 1 } })).body.details.reason).toBe("Run input schema not found.");
});

test("input may be a template of JSON text or of a variable", async () => {
  const name = unique("n").replaceAll("-", "_");
  await api("POST", "/variables/", { name, value: 7 });
  for (const n of [
    { __prefect_kind: "workspace_variable", variable_name: name },
    { __prefect_kind: "json", value: "7" },
  ]) {
    const id = await anAskingRun();
    expect((await resume(id, { run_input: { n } })).body.status).toBe("ACCEPT");
    expect((await responseOf(id)).body).toEqual({ n: 7 });
  }
});

test("one of several concurrent requests resumes the run, and only its input is stored", async () => {
  const id = await anAskingRun();
  const answers = await Promise.all(
    [1, 2, 3, 4].map(async (n) => ({ n, ...(await resume(id, { run_input: { n } })).body })),
  );
  const [accepted, ...others] = answers.filter(({ status }) => status === "ACCEPT");
  expect((await responseOf(id)).body).toEqual({ n: accepted?.n });
  // Prefect: Running after Running is accepted. Only the first request ended the pause.
  for (const other of others) expect(other.state?.type).toBe("RUNNING");
  const { results } = await env.DB.prepare("select key from flow_run_input where flow_run_id = ?").bind(id).all();
  expect(results).toHaveLength(2);
});

test("a run with a timed-out pause fails, and the input is not stored", async () => {
  const id = await anAskingRun();
  await env.DB.prepare(
    "update flow_run_state set state_details = json_set(state_details, '$.pause_timeout', 1) where id = (select state_id from flow_run where id = ?)",
  )
    .bind(id)
    .run();
  await propose(id, { type: "PAUSED", state_details: { pause_key: "k" } });
  const { body } = await resume(id, { run_input: { n: 1 } });
  expect([body.status, body.state?.type]).toEqual(["REJECT", "FAILED"]);
  expect((await responseOf(id)).status).toBe(404);
});
