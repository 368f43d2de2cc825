/** The rows that are stored if Sluice is killed or stopped during requests. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import { Api, tally } from "./support/api.ts";
import { isAlive } from "../../scripts/processes.ts";
import { eventually, World } from "./support/world.ts";

/** The sweep of the outbox runs each minute and does not read the last minute. The test adds half a minute. */
const SWEEP_SECONDS = 150;
const DOWN_SECONDS = 3;

const RUN_EVENTS = ["prefect.flow-run.Completed", "prefect.flow-run.Pending", "prefect.flow-run.Running"];
const LEGS = 20;
const LOADS = 60;

/** The ways in which Sluice ends. */
const ENDS = [
  { what: "stopped by Ctrl-C", signal: "SIGINT", exit: { code: 0, signal: null } },
  { what: "killed", signal: "SIGKILL", exit: { code: null, signal: "SIGKILL" } },
] as const;

describe("the active work", { concurrency: true }, () => {
  test("is complete if Sluice was killed in the middle of a stock flow", { timeout: 420_000 }, async (t) => {
    const world = await World.of(t);
    const killed = await world.startSluice();
    const api = new Api(world.apiUrl);
    // The client has its default settings: its five tries of a request wait 2, 4, 8, 16 and 32 seconds. Its eleven
    // tries of a
    // socket wait seven seconds in all. After that, an unsent event waits for the next event.
    const flow = world.runFlow("long_haul");
    const flowRunId = await flow.prints(/^long haul (\S+)\n/m, 120);
    // The subflow has just become RUNNING. Its event and the events of its first tasks are not stored yet.
    const middleId = await flow.prints(/^middle (\S+)\n/m, 120);
    const workerd = world.workerdPid();
    await killed.kill();
    // A process that waits for its disk ends when the disk has answered.
    await eventually(30, () => assert.ok(!isAlive(workerd), "workerd has outlived npm start"));
    await sleep(DOWN_SECONDS * 1000);
    await world.startSluice();
    assert.deepEqual(await flow.end(180), { code: 0, signal: null }, flow.output);
    assert.match(flow.output, /^total 1770\n/m);

    for (const [id, loads] of [
      [flowRunId, 48],
      [middleId, 12],
    ] as const) {
      const run = await api.flowRun(id);
      assert.deepEqual([run.state_type, run.run_count], ["COMPLETED", 1]);
      const states = await api.flowRunStates(id);
      assert.deepEqual(
        states.map((state) => state.name),
        ["Pending", "Running", "Completed"],
      );

      await eventually(SWEEP_SECONDS, async () => {
        const events = await api.events({
          resource: { id: [`prefect.flow-run.${id}`] },
          event: { name: RUN_EVENTS },
        });
        assert.deepEqual(events.map((event) => event.event).toSorted(), RUN_EVENTS);
        assert.deepEqual(new Set(events.map((event) => event.id)), new Set(states.map((state) => state.id)));
      });

      const taskRuns = await eventually(SWEEP_SECONDS, async () => {
        const found = (await api.taskRuns(id)).filter((taskRun) => taskRun.name.startsWith("haul-"));
        assert.deepEqual(tally(found.map((taskRun) => taskRun.state_name)), { Completed: loads });
        return found;
      });
      const histories: string[][] = [];
      for (const taskRun of taskRuns) {
        assert.equal(taskRun.run_count, 1, taskRun.name);
        histories.push((await api.taskRunStates(taskRun.id)).map((state) => state.name));
      }
      assert.deepEqual(tally(histories.map((names) => names.join(" "))), { "Pending Running Completed": loads });

      const events = await api.events({
        related: { id: [`prefect.flow-run.${id}`] },
        event: { prefix: ["prefect.task-run."] },
      });
      assert.deepEqual(tally(events.map((event) => event.event)), {
        "prefect.task-run.Pending": loads,
        "prefect.task-run.Running": loads,
        "prefect.task-run.Completed": loads,
      });
      assert.equal(new Set(events.map((event) => event.id)).size, 3 * loads);
    }

    const messages = [...(await api.logMessages(flowRunId)), ...(await api.logMessages(middleId))];
    const expected = [
      ...Array.from({ length: LEGS }, (_, leg) => `leg ${leg}`),
      ...Array.from({ length: LOADS }, (_, load) => [`load ${load}: lifted`, `load ${load}: set down`]).flat(),
    ];
    assert.deepEqual(messages.filter((message) => /^(leg|load) \d+/.test(message)).toSorted(), expected.toSorted());
    assert.equal(messages.filter((message) => message.startsWith("Finished in state")).length, LOADS + 2);
  });

  for (const { what, signal, exit } of ENDS) {
    test(`is complete if Sluice was ${what} under load`, { timeout: 420_000 }, async (t) => {
      const world = await World.of(t);
      // Without npm, because npm's shell reports the signal instead of the exit code.
      const ended = await world.startSluice({}, "node");
      const api = new Api(world.apiUrl);
      const confirmed: Confirmed[] = [];
      const flowId = await create(api, "/flows/", { name: "ended" });
      const loops = Array.from({ length: 16 }, () => workUntilTheEnd(api, flowId, confirmed));
      await eventually(60, () => assert.ok(confirmed.length >= 50));
      const workerd = world.workerdPid();
      const before = confirmed.length;
      ended.signal(signal);
      assert.deepEqual(await ended.end(20), exit, ended.output);
      await Promise.all(loops);
      t.diagnostic(`${before} runs were begun before the signal, ${confirmed.length} in all`);
      // A process that waits for its disk ends when the disk has answered.
      await eventually(30, () => assert.ok(!isAlive(workerd), "workerd has outlived npm start"));

      await world.startSluice();
      for (const { id, states, message } of confirmed) {
        const found = (await api.flowRunStates(id)).map((state) => state.name);
        // A request without an answer may still be stored. No answered request is missing.
        assert.deepEqual(found.slice(0, states.length), states);
        if (message !== undefined) assert.deepEqual(await api.logMessages(id), [message]);
      }
      const mine = await api.events({ event: { name: ["system-test.confirmed"] } });
      const counts = tally(mine.map((event) => event.resource["prefect.resource.id"] ?? ""));
      for (const { id, event } of confirmed) if (event) assert.equal(counts[`run.${id}`], 1, id);

      const stateIds: string[] = [];
      for (const run of await api.flowRuns()) {
        for (const state of await api.flowRunStates(run.id)) stateIds.push(state.id);
      }
      const soon = await eventIds(api);
      t.diagnostic(`${stateIds.length - soon.length} events were left to the sweep`);
      await eventually(SWEEP_SECONDS, async () => {
        assert.deepEqual((await eventIds(api)).toSorted(), stateIds.toSorted());
      });
    });
  }
});

describe("npm start", () => {
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    test(`ends with its workerd when its process group gets ${signal}`, { timeout: 180_000 }, async (t) => {
      const world = await World.of(t);
      const sluice = await world.startSluice();
      const workerd = world.workerdPid();
      sluice.signal(signal);
      await sluice.end(20);
      await eventually(10, () => assert.ok(!isAlive(workerd), "workerd has outlived npm start"));
    });
  }

  test("ends with its workerd when npm alone gets SIGTERM", { timeout: 180_000 }, async (t) => {
    const world = await World.of(t);
    const sluice = await world.startSluice();
    const workerd = world.workerdPid();
    sluice.signalHead("SIGTERM");
    await sluice.end(20);
    await eventually(10, () => assert.ok(!isAlive(workerd), "workerd has outlived npm start"));
  });
});

/** The answered requests of one run. */
interface Confirmed {
  id: string;
  states: string[];
  message?: string;
  event?: boolean;
}

/**
 * Creates runs, changes their states, and writes their logs and events, one run after the other, until the server has
 * ended.
 */
async function workUntilTheEnd(api: Api, flowId: string, confirmed: Confirmed[]): Promise<void> {
  try {
    for (;;) {
      const id = await create(api, "/flow_runs/", { flow_id: flowId, state: { type: "PENDING" } });
      const run: Confirmed = { id, states: ["Pending"] };
      confirmed.push(run);
      for (const [type, name] of [
        ["RUNNING", "Running"],
        ["COMPLETED", "Completed"],
      ] as const) {
        await api.ask(`/flow_runs/${id}/set_state`, { state: { type } });
        run.states.push(name);
      }
      const now = new Date().toISOString();
      const message = `of ${id}`;
      await api.ask("/logs/", [{ name: "system-test", level: 20, message, timestamp: now, flow_run_id: id }]);
      run.message = message;
      const resource = { "prefect.resource.id": `run.${id}` };
      await api.ask("/events", [{ occurred: now, event: "system-test.confirmed", resource, id: crypto.randomUUID() }]);
      run.event = true;
    }
  } catch (error) {
    // The server has ended, so `fetch` fails. A wrong answer fails the test.
    if (!(error instanceof TypeError)) throw error;
  }
}

async function create(api: Api, path: string, body: unknown): Promise<string> {
  return z.object({ id: z.string() }).parse(await api.ask(path, body)).id;
}

/** The ids of the events of flow runs' states. Each is the id of its state. */
async function eventIds(api: Api): Promise<string[]> {
  return (await api.events({ event: { prefix: ["prefect.flow-run."] } })).map((event) => event.id);
}
