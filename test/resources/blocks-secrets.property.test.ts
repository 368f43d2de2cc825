import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Data, hideSecrets, MASK, revealSecrets, secretFields } from "#resources/block-documents/secrets";
import { pathsOf } from "./blocks-world";
import { unmask } from "#resources/block-documents/unmask";

const key = fc.constantFrom("a", "b", "c", "__proto__");
const value: fc.Arbitrary<unknown> = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 3 },
    fc.constantFrom(null, 1, true, "x", MASK, ""),
    fc.array(tie("value"), { maxLength: 2 }),
    tie("object"),
  ),
  object: fc.array(fc.tuple(key, tie("value")), { maxLength: 3 }).map((entries) => Object.fromEntries(entries)),
})).value;
const data = fc.array(fc.tuple(key, value), { maxLength: 4 }).map((entries): Data => Object.fromEntries(entries));
const pattern = fc.array(fc.constantFrom("a", "b", "c", "*", "__proto__"), { minLength: 1, maxLength: 3 });
const fields = fc
  .array(pattern, { maxLength: 4 })
  .map((patterns) => ({ secret_fields: patterns.map((parts) => parts.join(".")) }));

test("the masked data with the secrets are the data", () => {
  fc.assert(
    fc.property(data, fields, (data, fields) => {
      const { shown, secrets } = hideSecrets(data, fields);
      expect(revealSecrets(shown, secrets)).toEqual(data);
    }),
    { numRuns: 500 },
  );
});

test("masks that a client sends back mean the present values", () => {
  fc.assert(
    fc.property(data, fields, (data, fields) => {
      expect(unmask(hideSecrets(data, fields).shown, data, fields)).toEqual(data);
    }),
    { numRuns: 500 },
  );
});

test("the masked data have no text that is only in a secret field", () => {
  fc.assert(
    fc.property(data, fields, (data, fields) => {
      const { shown, secrets } = hideSecrets(data, fields);
      const marked = JSON.stringify(secrets.map(({ path }) => path));
      for (const { path } of secrets) {
        const at = path.reduce<unknown>((inner, name) => (inner as Data)[name], shown);
        expect([
          marked,
          JSON.stringify(at)
            .replaceAll(/"(?:a|b|c|__proto__)":|[{},]/g, "")
            .replaceAll(`"${MASK}"`, ""),
        ]).toEqual([marked, ""]);
      }
    }),
    { numRuns: 500 },
  );
});

describe("models in lists and in dictionaries", () => {
  const fields = { secret_fields: ["servers.password", "servers.headers.*"] };
  const server = (user: string) => ({ user, password: `secret of ${user}`, headers: { key: `key of ${user}` } });
  const shown = (user: string) => ({ user, password: MASK, headers: { key: MASK } });

  test.for<[string, Data, Data]>([
    ["a list", { servers: [server("a"), server("b")] }, { servers: [shown("a"), shown("b")] }],
    ["a list of lists", { servers: [[server("a")], []] }, { servers: [[shown("a")], []] }],
    ["a dictionary", { servers: { one: server("a") } }, { servers: { one: shown("a") } }],
    ["a model", { servers: server("a"), password: "free" }, { servers: shown("a"), password: "free" }],
  ])("have their secrets masked: %s", ([, data, masked]) => {
    const hidden = hideSecrets(data, fields);
    expect(hidden.shown).toEqual(masked);
    expect(revealSecrets(hidden.shown, hidden.secrets)).toEqual(data);
    expect(unmask(masked, data, fields)).toEqual(data);
  });

  const present = { servers: [server("a"), server("b")] };
  const changed = { ...server("b"), user: "c" };

  test.for<[string, unknown[], unknown[]]>([
    ["in another order", [shown("b"), shown("a")], [server("b"), server("a")]],
    ["without one", [shown("b")], [server("b")]],
    ["with a new one before them", [server("c"), shown("a"), shown("b")], [server("c"), server("a"), server("b")]],
    ["with another name", [shown("a"), shown("c")], [server("a"), changed]],
    ["that were not there", [shown("c")], [shown("c")]],
  ])("keep their secrets %s", ([, given, wanted]) => {
    expect(unmask({ servers: given }, present, fields)).toEqual({ servers: wanted });
  });
});

describe("the paths of secrets", () => {
  test.for<[string[], string[][]]>([
    [["value", "value"], [["value"]]],
    [
      ["headers.*", "url"],
      [["headers"], ["url"]],
    ],
    [["a.b", "a.*"], [["a"]]],
    [["a.*.b"], [["a"]]],
    [["a.b.c", "a"], [["a"]]],
  ])("of %j are %j", ([patterns, paths]) => {
    expect(pathsOf(secretFields({ secret_fields: patterns }))).toEqual(paths);
  });

  test.for([{}, { secret_fields: null }, { secret_fields: [1] }, null])("of %j are none", (fields) => {
    expect(pathsOf(secretFields(fields))).toEqual([]);
  });
});
