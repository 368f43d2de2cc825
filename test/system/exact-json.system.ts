/**
 * Users' JSON through the stock client: a value that is read equals the sent value and has the same types, by Python's
 * comparison.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { World } from "./support/world.ts";

const ROUNDS = process.env["SLUICE_JSON_ROUNDS"] ?? "5";

describe("users' JSON", () => {
  test("is read unchanged by every route with users' JSON", { timeout: 600_000 }, async (t) => {
    const world = await World.of(t);
    await world.startSluice();
    const client = world.runFlow("exact_json", { ROUNDS });
    assert.equal((await client.end(500)).code, 0, client.output);
    t.diagnostic(/^seed \d+$/m.exec(client.output)?.[0] ?? "");
    const [, checked = "0"] = /^checked (\d+), wrong 0$/m.exec(client.output) ?? [];
    assert.ok(Number(checked) > 100, client.output);
  });
});
