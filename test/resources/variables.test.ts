import { SELF } from "cloudflare:test";
import { expect, test } from "vitest";

test("a variable is kept as it was set", async () => {
  const made = await SELF.fetch("http://sluice/api/variables/", {
    method: "POST",
    body: JSON.stringify({ name: "answer", value: { deep: [1, null] }, tags: ["a"] }),
  });
  expect(made.status).toBe(201);
  const read = await SELF.fetch("http://sluice/api/variables/name/answer");
  expect(await read.json()).toEqual(await made.json());
});
