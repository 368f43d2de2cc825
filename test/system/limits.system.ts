/** The slot of a stock client that is killed. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import { Api } from "./support/api.ts";
import { eventually, World } from "./support/world.ts";

const LEASE_SECONDS = 60;
/** The client renews a lease after three quarters of its duration. */
const RENEWED_SECONDS = 0.75 * LEASE_SECONDS;
const LIMIT = "/v2/concurrency_limits/held";

describe("a stock client's slot", { concurrency: true }, () => {
  test(
    "is renewed while the client runs, and is free within a lease after its kill",
    { timeout: 300_000 },
    async (t) => {
      const world = await World.of(t);
      await world.startSluice();
      const api = new Api(world.apiUrl);
      await api.ask("/v2/concurrency_limits/", { name: "held", limit: 1 });

      const holder = world.runFlow("hold_slot");
      await holder.prints(/^holds/m, 120);
      assert.equal(await activeSlots(api), 1);
      assert.equal((await take(api)).status, 423);

      // The first lease has ended by now, so the client has renewed the lease.
      await sleep((RENEWED_SECONDS + LEASE_SECONDS / 2) * 1000);
      assert.equal(await activeSlots(api), 1);
      holder.signal("SIGKILL");
      const killed = Date.now();
      assert.deepEqual(await holder.ended, { code: null, signal: "SIGKILL" });
      assert.equal((await take(api)).status, 423, "the slot is its holder's until the lease ends");

      await eventually(LEASE_SECONDS + 5, async () => assert.equal(await activeSlots(api), 0));
      t.diagnostic(`free ${Math.round((Date.now() - killed) / 1000)} s after the kill`);
      assert.equal((await take(api)).status, 200);
    },
  );

  test(
    "is free after its lease, though Sluice was killed together with the client",
    { timeout: 300_000 },
    async (t) => {
      const world = await World.of(t);
      const sluice = await world.startSluice();
      const api = new Api(world.apiUrl);
      await api.ask("/v2/concurrency_limits/", { name: "held", limit: 1 });
      const holder = world.runFlow("hold_slot");
      await holder.prints(/^holds/m, 120);
      const taken = Date.now();

      await Promise.all([sluice.kill(), holder.kill()]);
      await world.startSluice();
      assert.equal(await activeSlots(api), 1);
      assert.equal((await take(api)).status, 423);
      await eventually(LEASE_SECONDS + 5, async () => assert.equal(await activeSlots(api), 0));
      t.diagnostic(`free ${Math.round((Date.now() - taken) / 1000)} s after it was taken`);
      assert.equal((await take(api)).status, 200);
    },
  );
});

async function activeSlots(api: Api): Promise<number> {
  return z.object({ active_slots: z.int() }).parse(await api.ask(LIMIT)).active_slots;
}

/** Requests the slot, and gives the response. */
async function take(api: Api): Promise<Response> {
  const response = await api.send("/v2/concurrency_limits/increment-with-lease", { names: ["held"], slots: 1 });
  await response.text();
  return response;
}
