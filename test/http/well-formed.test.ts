/**
 * Texts of a body that are not valid Unicode are refused, because they would be stored as other texts. Other texts are
 * stored unchanged.
 */
import { describe, expect, test } from "vitest";
import { api, sendText, unique } from "../support/world";

const send = async (path: string, body: unknown) =>
  api<{ name?: string; exception_detail?: unknown }>("POST", path, body);

describe("half of a surrogate pair", () => {
  test.for([
    ["a name", "/flows/", { name: "a\ud800" }, ["body", "name"]],
    ["the other half", "/flows/", { name: "\udfffa" }, ["body", "name"]],
    ["both in the wrong order", "/flows/", { name: "\udc00\ud800" }, ["body", "name"]],
    ["an item of a list", "/flows/", { name: "n", tags: ["a", "b\ud800"] }, ["body", "tags", 1]],
    ["a name of a field", "/flows/", { name: "n", labels: { "a\ud800": 1 } }, ["body", "labels"]],
    ["a user's value", "/variables/", { name: "n", value: { a: [{ b: "\ud800" }] } }, ["body", "value", "a", 0, "b"]],
    ["a filter", "/flows/filter", { flows: { name: { any_: ["\ud800"] } } }, ["body", "flows", "name", "any_", 0]],
  ] as const)("is refused in %s", async ([, path, body, loc]) => {
    const answer = await send(path, body);
    expect([answer.status, answer.body.exception_detail]).toEqual([
      422,
      [expect.objectContaining({ type: "string_unicode", loc })],
    ]);
  });
});

test.for(["\u{1f600}", "\\ud800", "a\u0000b", "\u0000", "\ufffd\ufffe\uffff", "e\u0301", "\u202e"])(
  "the text %j is returned unchanged",
  async (text) => {
    const name = unique(text);
    expect((await send("/flows/", { name })).body.name).toBe(name);
    const { body } = await api<{ name: string }[]>("POST", "/flows/filter", { flows: { name: { any_: [name] } } });
    expect(body.map((flow) => flow.name)).toEqual([name]);
  },
);

test("a pair of surrogates, written as two escapes, is one character", async () => {
  const name = unique("pair");
  const body = JSON.stringify({ name: `${name}😀` }).replace("😀", String.raw`\ud83d\ude00`);
  const { text } = await sendText("POST", "/flows/", body);
  expect(JSON.parse(text)).toMatchObject({ name: `${name}😀` });
});
