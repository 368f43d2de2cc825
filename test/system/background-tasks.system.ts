/** Background tasks of the stock client, with several task workers. One of the workers is killed. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import { Api, tally } from "./support/api.ts";
import { eventually, World } from "./support/world.ts";

/** The number of delayed tasks. The stock client runs about ten a second on two cores. */
const TASKS = Number(process.env["SLUICE_BACKGROUND_TASKS"] ?? 300);
const WORKERS = 3;
/** The runs of a vanished worker are reserved for half a minute, because the worker may reconnect. */
const SECONDS = 120 + TASKS / 3;

const Workers = z.array(z.object({ identifier: z.string(), task_keys: z.array(z.string()), timestamp: z.string() }));
const Runs = z.array(z.object({ name: z.string(), state_type: z.string(), run_count: z.int() }));

describe("background tasks", () => {
  test(
    `are each run once, ${TASKS} of them, though one of three task workers is killed and replaced`,
    { timeout: (2 * SECONDS + 300) * 1000 },
    async (t) => {
      const world = await World.of(t);
      await world.startSluice();
      const api = new Api(world.apiUrl);
      const journal = join(world.folder, "journal");
      const lines = () => readOrNothing(journal).split("\n").filter(Boolean);
      const play = (role: string) => world.runFlow("background", { ROLE: role, JOURNAL: journal });
      const serving = async () => {
        const worker = play("serve");
        const pid = await worker.prints(/^serving (\d+)\n/m, 120);
        return { worker, pid };
      };

      // Half of the tasks wait before a worker connects.
      const half = Math.floor(TASKS / 2);
      const first = play(`delay 0 ${half}`);
      assert.equal((await first.end(SECONDS)).code, 0, first.output);
      const startedAt = Date.now();
      const workers = await Promise.all(Array.from({ length: WORKERS }, serving));
      const rest = play(`delay ${half} ${TASKS - half}`);
      await eventually(SECONDS, () => assert.ok(lines().length >= TASKS / 4, `${lines().length} have run`));

      const deadlyId = await play("die").prints(/^delayed (\S+)\n/m, 120);
      const victim = await Promise.race(workers.map(({ worker, pid }) => worker.ended.then((exit) => ({ exit, pid }))));
      assert.deepEqual(victim.exit, { code: null, signal: "SIGKILL" });
      const replacement = await serving();

      assert.equal((await rest.end(SECONDS)).code, 0, rest.output);
      const completed = { task_runs: { state: { type: { any_: ["COMPLETED"] } } } };
      await eventually(SECONDS, async () => {
        await sleep(500);
        assert.equal(await api.ask("/task_runs/count", completed), TASKS);
      });
      t.diagnostic(`${TASKS} tasks were run in ${Math.round((Date.now() - startedAt) / 1000)} s`);

      const expected = Array.from({ length: TASKS }, (_, number) => `${number % 2 ? "note" : "shout"} ${number}`);
      assert.deepEqual(tally(lines()), tally([...expected, `die ${victim.pid}`]));
      const runs = [];
      for (let offset = 0; offset <= TASKS; offset += 200) {
        runs.push(...Runs.parse(await api.ask("/task_runs/filter", { limit: 200, offset })));
      }
      // The task that was running when its worker was killed is not run again.
      assert.deepEqual(tally(runs.map((run) => `${run.state_type}, ${run.run_count}`)), {
        "COMPLETED, 1": TASKS,
        "RUNNING, 1": 1,
      });
      assert.equal(
        z.object({ state_type: z.string() }).parse(await api.ask(`/task_runs/${deadlyId}`)).state_type,
        "RUNNING",
      );

      const present = Workers.parse(await api.ask("/task_workers/filter", {}));
      const pids = [...workers, replacement].map(({ pid }) => pid).filter((pid) => pid !== victim.pid);
      assert.deepEqual(
        present.map(({ identifier }) => identifier.slice(identifier.lastIndexOf("-") + 1)).toSorted(byText),
        pids.toSorted(byText),
      );

      const waiting = play("wait");
      assert.equal((await waiting.end(300)).code, 0, waiting.output);
      assert.match(waiting.output, /^noted -1$/m);
      assert.match(waiting.output, /^shouted -2$/m);
    },
  );
});

const byText = (a: string, b: string) => a.localeCompare(b);

function readOrNothing(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    // No worker has written a line yet.
    return "";
  }
}
