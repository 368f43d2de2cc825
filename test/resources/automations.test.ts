import { expect, test } from "vitest";
import { api } from "../support/world";

// What `prefect transfer` and `prefect automation inspect` send.
const ASKED = { sort: "NAME_ASC", limit: 200, offset: 0, automations: { name: { any_: ["one"] } } };

test.for([[ASKED], [{}], [{ automations: { operator: "or_", tags: { is_null_: true }, created: { before_: null } } }]])(
  "a server without automations lists and counts none, asked with %j",
  async ([body]) => {
    expect(await api("POST", "/automations/filter", body)).toMatchObject({ status: 200, body: [] });
    const { automations } = body as typeof ASKED;
    expect(await api("POST", "/automations/count", { automations })).toMatchObject({ status: 200, body: 0 });
  },
);

test.for([
  [{ sort: "MOOD_ASC" }],
  [{ limit: 201 }],
  [{ offset: -1 }],
  [{ automations: { mood: "blue" } }],
  [{ automations: { id: { any_: ["nobody"] } } }],
])("a list of automations is refused with %j", async ([body]) => {
  expect((await api("POST", "/automations/filter", body)).status).toBe(422);
});
