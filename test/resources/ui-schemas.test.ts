/** `POST /ui/schemas/validate`: the faults of a form's values, each at its place. The answers are those of the original. */
import { describe, expect, test } from "vitest";
import { api, sendText, unique } from "../support/world";

const validate = async (schema: unknown, values: unknown) => {
  const { status, body } = await api("POST", "/ui/schemas/validate", { schema, values });
  return [status, body];
};
const integer = { type: "integer" };
const text = { type: "string" };
const object = (properties: unknown, more = {}) => ({ type: "object", properties, ...more });
const kind = (name: string, more = {}) => ({ __prefect_kind: name, ...more });
const json = (value: unknown) => kind("json", { value });
const at = (property: string, ...errors: unknown[]) => ({ property, errors });
const item = (index: number, ...errors: unknown[]) => ({ index, errors });

const BROKEN = "Invalid JSON: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)";
const EITHER = "'x' is not valid under any of the given schemas";

describe("the faults of values", () => {
  const list = object({ a: { type: "array", items: object({ n: integer }, { required: ["n"] }) } });
  const short = object({ s: { ...text, minLength: 3, pattern: "^b" } }, { required: ["s"] });
  const block = { title: "B", block_type_slug: "b", ...object({ n: integer }, { required: ["n"] }) };
  const form = object({ b: { $ref: "#/definitions/B" } }, { definitions: { B: block } });
  const nested = object(
    { a: { $ref: "#/definitions/M" } },
    { definitions: { M: object({ n: { $ref: "#/definitions/M" } }, { required: ["n"] }) } },
  );
  const date = (format: string) => object({ d: { ...text, format } }, { required: ["d"] });
  const cases: [what: string, schema: unknown, values: unknown, errors: unknown[]][] = [
    ["none", object({ n: integer }), { n: 1 }, []],
    ["a property within", object({ o: object({ n: integer }) }), { o: { n: "x" } }, [at("o", at("n", EITHER))]],
    [
      "items, and a missing property",
      list,
      { a: [{ n: 1 }, { n: "x" }, {}] },
      [at("a", item(1, at("n", "'x' is not of type 'integer'")), item(2, at("n", "'n' is a required property")))],
    ],
    ["two of one property", short, { s: "a" }, [at("s", "'a' is too short"), at("s", "'a' does not match '^b'")]],
    [
      "of the whole, then of a property",
      { minProperties: 5, properties: { n: integer } },
      { n: "x" },
      ["{'n': 'x'} does not have enough properties", at("n", EITHER)],
    ],
    [
      "a property that is missing deep in nested references",
      nested,
      { a: { n: { n: {} } } },
      [at("a", at("n", at("n", at("n", "'n' is a required property"))))],
    ],
    [
      "no block, and no reference to one",
      form,
      { b: { $ref: "x" } },
      [at("b", "{'$ref': 'x'} is not valid under any of the given schemas")],
    ],
    ["a reference to a block", form, { b: { $ref: "e1a6e3b7-4f3a-4a3d-9d62-2b1d7f0c9a11" } }, []],
    ["no date", date("date"), { d: "2026-02-30" }, [at("d", "'2026-02-30' is not a 'date'")]],
    [
      "no time zone",
      date("date-time"),
      { d: "2026-02-28T10:00:00" },
      [at("d", "'2026-02-28T10:00:00' is not a 'date-time'")],
    ],
    ["a date with time", date("date-time"), { d: "2026-02-28t10:00:00+01:00" }, []],
    ["of a format that is not checked", date("uri"), { d: "no uri" }, []],
  ];
  test.for(cases)("%s", async ([, schema, values, errors]) => {
    expect(await validate(schema, values)).toEqual([200, { errors, valid: errors.length === 0 }]);
  });
});

describe("values that stand for others", () => {
  const cases: [what: string, schema: unknown, values: unknown, errors: unknown[]][] = [
    ["JSON", object({ n: integer }), { n: json("5") }, []],
    [
      "JSON of a wrong type",
      object({ n: integer }, { required: ["n"] }),
      { n: json('"x"') },
      [at("n", "'x' is not of type 'integer'")],
    ],
    ["broken JSON, whose type is not looked at", object({ n: integer }), { n: json("{") }, [at("n", BROKEN)]],
    [
      "broken JSON in a list",
      object({ a: { type: "array", items: text } }),
      { a: [json('"x"'), json("{")] },
      [at("a", item(1, BROKEN))],
    ],
    ["broken JSON as the whole", object({ n: integer }), json("{"), [BROKEN]],
    ["broken JSON that no schema checks", {}, { n: json("{") }, []],
    [
      "JSON without text is left out",
      object({ n: integer }, { required: ["n"] }),
      { n: kind("json") },
      [at("n", "'n' is a required property")],
    ],
    ["JSON in JSON", object({ n: integer }), { n: json(json("5")) }, []],
    ["nothing", object({ n: integer }), { n: kind("none") }, [at("n", "Missing 'value' key in __prefect object")]],
    [
      "an unknown variable",
      object({ s: text }),
      { s: kind("workspace_variable", { variable_name: "none-such" }) },
      [at("s", "Variable 'none-such' not found in workspace.")],
    ],
    ["a template, whose type is not known", object({ n: integer }), { n: kind("jinja", { template: "{{ x }}" }) }, []],
    [
      "no template",
      object({ n: integer }),
      { n: kind("jinja") },
      [at("n", "Missing 'template' key in __prefect object")],
    ],
    [
      "a template that cannot be read",
      object({ n: integer }),
      { n: kind("jinja", { template: "{{ x" }) },
      [at("n", "Invalid jinja: unexpected end of template, expected 'end of print statement'.")],
    ],
    ["an unknown kind", object({ n: integer }), { n: kind("other", { value: 5 }) }, []],
  ];
  test.for(cases)("%s", async ([, schema, values, errors]) => {
    expect(await validate(schema, values)).toEqual([200, { errors, valid: errors.length === 0 }]);
  });

  test("a variable has the value of the workspace", async () => {
    const name = unique("variable");
    await api("POST", "/variables/", { name, value: { n: "x" } });
    const variable = kind("workspace_variable", { variable_name: name });
    expect(await validate(object({ o: object({ n: text }) }), { o: variable })).toEqual([
      200,
      { errors: [], valid: true },
    ]);
    const schema = object({ o: object({ n: integer }, { required: ["n"] }) }, { required: ["o"] });
    const errors = [at("o", at("n", "'x' is not of type 'integer'"))];
    expect(await validate(schema, { o: variable })).toEqual([200, { errors, valid: false }]);
  });

  test("values that become too large are refused", async () => {
    const name = unique("variable");
    await api("POST", "/variables/", { name, value: "x".repeat(4_000) });
    const variable = kind("workspace_variable", { variable_name: name });
    expect(await validate({}, { a: Array.from({ length: 300 }, () => variable) })).toEqual([
      422,
      { detail: "Values may take at most 1,048,576 bytes as JSON" },
    ]);
  });
});

describe("a schema that cannot be used is refused", () => {
  const circle = { a: { $ref: "#/properties/b" }, b: { $ref: "#/properties/a" } };
  test.for([
    [{ type: "thing" }, "'thing' is not valid under any of the given schemas"],
    [object(circle), "Unable to validate schema with circular references."],
    [
      object({ a: { $ref: "#/none" } }),
      "Validation failed. Failure reason: PointerToNowhere: '/none' does not exist within",
    ],
    [object({ a: { type: "string", pattern: "(" } }), "'(' is not a 'regex'"],
  ] as const)("%j", async ([schema, detail]) => {
    const { status, body } = await api("POST", "/ui/schemas/validate", { schema, values: { a: 1 } });
    expect(status).toBe(422);
    expect(body["detail"]).toContain(`Invalid schema: ${detail}`);
  });
});

describe("values and schemas of attackers", () => {
  const refusal = (body: unknown) => String((body as { detail?: unknown }).detail);

  test("may have many faults in one list", async () => {
    const count = 20_000;
    const schema = object({ a: { items: object({ b: text }) } });
    const [status, body] = await validate(schema, { a: Array.from({ length: count }, () => ({ b: 1 })) });
    const { errors } = body as { errors: { errors: unknown[] }[] };
    expect([status, errors[0]?.errors.length]).toEqual([200, count]);
    expect(errors[0]?.errors.at(-1)).toEqual(item(count - 1, at("b", "1 is not of type 'string'")));
  });

  test.for<[string, unknown, unknown]>([
    ["messages", { allOf: Array.from({ length: 2_000 }, () => text) }, { a: "x".repeat(200_000) }],
    [
      "names of properties",
      {
        $defs: { a: { properties: { ["x".repeat(200_000)]: text } } },
        allOf: Array.from({ length: 2_000 }, () => ({ $ref: "#/$defs/a" })),
      },
      { ["x".repeat(200_000)]: 1 },
    ],
  ])("are refused if the %s of their faults are too long together", async ([, schema, values]) => {
    const [status, body] = await validate(schema, values);
    expect([status, refusal(body)]).toEqual([422, expect.stringContaining("too much work")]);
  });

  test("may have long numbers, which are read once", async () => {
    const number = "9".repeat(4_300);
    const rules = Array.from({ length: 400 }, () => '{"minimum":1}').join();
    const values = Array.from({ length: 1_000 }, () => number).join();
    const schema = `{"properties":{"a":{"items":{"allOf":[${rules}]}}}}`;
    const answer = await sendText("POST", "/ui/schemas/validate", `{"schema":${schema},"values":{"a":[${values}]}}`);
    expect([answer.status, answer.text]).toEqual([200, '{"errors":[],"valid":true}']);
  });

  test("may not have long numbers that are divided again and again", async () => {
    const number = "9".repeat(4_300);
    const rules = Array.from({ length: 400 }, () => `{"multipleOf":${number}}`).join();
    const values = Array.from({ length: 400 }, () => number).join();
    const schema = `{"properties":{"a":{"items":{"allOf":[${rules}]}}}}`;
    const answer = await sendText("POST", "/ui/schemas/validate", `{"schema":${schema},"values":{"a":[${values}]}}`);
    expect([answer.status, answer.text]).toEqual([422, expect.stringContaining("too much work")]);
  });

  test("may name variables inside names of variables, and are read once", async () => {
    let name: unknown = kind("none", { value: Array.from({ length: 300_000 }, () => []) });
    for (let level = 0; level < 800; level += 1) name = kind("workspace_variable", { variable_name: name });
    const [status] = await validate({}, { a: name });
    expect(status).toBe(200);
  });

  test("may not have templates of more than a megabyte", async () => {
    const template = `{{ a${" + a".repeat(300_000)} }}`;
    const [status, body] = await validate({}, { a: kind("jinja", { template }) });
    expect([status, refusal(body)]).toEqual([422, expect.stringContaining("at most 1,048,576 bytes")]);
  });
});
