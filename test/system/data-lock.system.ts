/**
 * One server uses a data folder. The next server can use the folder as soon as the first server has ended in any way.
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { Api } from "./support/api.ts";
import type { Program } from "./support/program.ts";
import { World } from "./support/world.ts";

/** Starts a server on another port, by default with the world's data. */
function startSecond(world: World, args: readonly string[] = []): Program {
  return world.start(["--port", String(world.port + 1), ...args], {}, "node");
}

/** The process that uses the folder, from the error message of a refused server. */
async function holder(world: World, args: readonly string[] = []): Promise<number> {
  const second = startSecond(world, args);
  assert.equal((await second.end(60)).code, 1, second.output);
  assert.doesNotMatch(second.output, /^\s+at /m);
  assert.match(second.output, /--data/);
  return Number(await second.prints(/is the data of another server, process (\d+)/, 0));
}

describe("a data folder", () => {
  test(
    "is refused to a second server, which names the first and does not disturb it",
    { timeout: 180_000 },
    async (t) => {
      const world = await World.of(t);
      const first = await world.startSluice({}, "node");
      const link = join(world.folder, "link");
      symlinkSync(world.data, link);
      for (const args of [[], ["--data", link]]) {
        assert.equal(await holder(world, args), first.pid);
        assert.equal((await new Api(world.apiUrl).send("/ready")).status, 200);
      }
      const other = startSecond(world, ["--data", join(world.folder, "other")]);
      await other.prints(/export PREFECT_API_URL=\S+\n/, 90);
    },
  );

  for (const signal of ["SIGKILL", "SIGTERM"] as const) {
    test(`can be used by the next server after a ${signal}`, { timeout: 180_000 }, async (t) => {
      const world = await World.of(t);
      const first = await world.startSluice({}, "node");
      const api = new Api(world.apiUrl);
      await api.ask("/variables/", { name: "kept", value: 1 });
      first.signalHead(signal);
      await first.end(20);
      const next = await world.startSluice({}, "node");
      assert.equal((await api.send("/variables/name/kept")).status, 200);
      assert.equal(await holder(world), next.pid);
    });
  }

  test(
    "can be used by the next server only when the workerd of the killed server has ended",
    { timeout: 180_000 },
    async (t) => {
      const world = await World.of(t);
      mkdirSync(world.data);
      const file = join(world.data, "workerd.pid");
      // This process simulates a workerd that still waits for its disk.
      const dying = spawn("sleep", ["8"], { env: { ...process.env, SLUICE_PID_FILE: file } });
      const ended = once(dying, "exit");
      writeFileSync(file, `${dying.pid}\n`);
      await world.startSluice({}, "node");
      assert.equal(dying.exitCode, 0);
      await ended;
    },
  );

  test("is not locked by a process that has the process id of a killed server", { timeout: 180_000 }, async (t) => {
    const world = await World.of(t);
    const first = await world.startSluice({}, "node");
    first.signal("SIGKILL");
    await first.end(20);
    writeFileSync(join(world.data, "server.pid"), `${process.pid}\n`);
    const next = await world.startSluice({}, "node");
    assert.equal(await holder(world), next.pid);
  });

  test("is used by one of two servers that start at once", { timeout: 180_000 }, async (t) => {
    const world = await World.of(t);
    const both = [world.start([], {}, "node"), startSecond(world)];
    const ends = await Promise.all(
      both.map((server) =>
        server.prints(/export PREFECT_API_URL=/, 90).then(
          () => "runs",
          () => "refused",
        ),
      ),
    );
    assert.deepEqual(ends.toSorted(), ["refused", "runs"]);
  });
});
