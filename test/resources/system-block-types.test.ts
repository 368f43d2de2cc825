import { expect, test } from "vitest";
import { api } from "../support/world";

const TYPE = { name: "Secret", slug: "secret" };

test("a creation of a system's type by its name and slug alone answers with the present type", async () => {
  const present = await api<{ id: string }>("GET", "/block_types/slug/secret");
  const made = await api<{ id: string }>("POST", "/block_types/", TYPE);
  expect(made).toMatchObject({ status: 200, body: present.body });
});

test.for([[{ ...TYPE, description: "Mine." }], [{ ...TYPE, name: "Mine" }], [{ ...TYPE, logo_url: "http://x" }]])(
  "the creation %j of a system's type is refused",
  async ([body]) => {
    expect((await api("POST", "/block_types/", body)).status).toBe(409);
    expect((await api("GET", "/block_types/slug/secret")).body).toMatchObject(TYPE);
  },
);
