/** A work pool with fewer slots than workers. The limit holds at every moment, and each run runs once. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import { Api, tally } from "./support/api.ts";
import { World } from "./support/world.ts";

const LIMIT = 5;
const RUNS = 200;
const WORKERS = 16;
const HOLDING = ["PENDING", "RUNNING", "CANCELLING"];
const WITHIN_MS = 240_000;
/**
 * The result of a run. Prefect: a completed run without a result may run again. A worker that proposes PENDING late
 * would cause this.
 */
const RESULT = { type: "reference", storage_key: "result" };

const Polled = z.array(z.object({ flow_run: z.object({ id: z.string() }) }));
const Proposed = z.object({
  status: z.enum(["ACCEPT", "REJECT", "ABORT", "WAIT"]),
  state: z.object({ id: z.string(), type: z.string(), name: z.string() }).nullable(),
  details: z.object({ reason: z.string().nullish() }),
});

/** The time of a request or of its answer. */
type Moment = { at: number; slots: number };

test(
  `a pool limited to ${LIMIT} runs ${RUNS} runs, ${LIMIT} at a time, for ${WORKERS} concurrent workers`,
  {
    timeout: 480_000,
  },
  async (t) => {
    const world = await World.of(t);
    await world.startSluice();
    const api = new Api(world.apiUrl);
    await api.ask("/work_pools/", { name: "narrow", type: "process", concurrency_limit: LIMIT });
    const flow = z.object({ id: z.string() }).parse(await api.ask("/flows/", { name: "short" }));
    const ids = await makeRuns(api, flow.id);

    const race = new Race(api, ids);
    const sampling = race.sample();
    await Promise.all(Array.from({ length: WORKERS }, () => race.work()));
    const samples = await sampling;

    assert.equal(race.ended.length, RUNS);
    assert.deepEqual(race.ended.toSorted(), ids.toSorted(), "each run has ended once");
    assert.deepEqual(tally((await api.flowRuns()).map((run) => run.state_type)), { COMPLETED: RUNS });
    for (const id of ids) {
      const states = await api.flowRunStates(id);
      // A refused PENDING writes nothing, so all states are accepted ones. A run that waits for long is Late once.
      const names = states.map((state) => state.name);
      assert.ok(names.filter((name) => name === "Late").length <= 1, names.join(" "));
      assert.deepEqual(
        names.filter((name) => name !== "Late"),
        ["Scheduled", "Pending", "Running", "Completed"],
      );
    }
    assert.ok(Math.max(...samples) <= LIMIT, `samples of what D1 says: ${JSON.stringify(tally(samples.map(String)))}`);
    assert.ok(Math.max(...samples) === LIMIT, "all slots were in use at some time");
    assert.equal(mostAtOnce(race.held), LIMIT, "as the workers' log has it");
    assert.ok(race.refusals.length > 0, "no PENDING was refused, so nothing was raced for");
    assert.deepEqual(tally(race.refusals), { "ABORT SCHEDULED": race.refusals.length });
    t.diagnostic(
      `${race.refusals.length} refusals; in ${samples.length} samples slots were in use: ${JSON.stringify(tally(samples.map(String)))}`,
    );
  },
);

async function makeRuns(api: Api, flowId: string): Promise<string[]> {
  const ids: string[] = [];
  for (let made = 0; made < RUNS; made += WORKERS) {
    const some = Array.from({ length: Math.min(WORKERS, RUNS - made) }, () =>
      api.ask("/flow_runs/", { flow_id: flowId, work_pool_name: "narrow", state: { type: "SCHEDULED" } }),
    );
    ids.push(...(await Promise.all(some)).map((run) => z.object({ id: z.string() }).parse(run).id));
  }
  return ids;
}

class Race {
  readonly ended: string[] = [];
  /** The answers to PENDING that were not ACCEPT, with the type of the run's state. */
  readonly refusals: string[] = [];
  /**
   * Slots are certainly in use from the answer to PENDING until the request of the end. They may be in use for longer.
   * So if more slots than the limit are in use here, the limit was exceeded.
   */
  readonly held: Moment[] = [];
  private readonly begun = new Set<string>();
  private readonly api: Api;
  private readonly ids: ReadonlySet<string>;
  private readonly until = Date.now() + WITHIN_MS;

  constructor(api: Api, ids: readonly string[]) {
    this.api = api;
    this.ids = new Set(ids);
  }

  /** Polls, and runs the offered runs in a random order, until all runs have ended. */
  async work(): Promise<void> {
    while (this.ended.length < this.ids.size && Date.now() < this.until) {
      const polled = await this.api.ask("/work_pools/narrow/get_scheduled_flow_runs", { limit: 10 });
      const offered = Polled.parse(polled).map(({ flow_run }) => flow_run.id);
      assert.ok(offered.length <= LIMIT, "a poll offers no more than slots are free");
      const order = offered.map((id) => ({ id, key: Math.random() })).toSorted((a, b) => a.key - b.key);
      for (const { id } of order) await this.run(id);
      // Also a run that is no longer offered, as for a worker that polled long ago.
      const waiting = [...this.ids].filter((id) => !this.begun.has(id));
      const stale = waiting[Math.floor(Math.random() * waiting.length)];
      if (stale !== undefined) await this.run(stale);
      if (offered.length === 0) await sleep(20 * Math.random());
    }
  }

  private async run(id: string): Promise<void> {
    const pending = await this.propose(id, "PENDING");
    if (pending.status !== "ACCEPT") {
      // Another worker has the run, or no slot is free. Without a slot the run does not change.
      if (pending.state?.type === "SCHEDULED") this.refusals.push(`${pending.status} ${pending.state.type}`);
      return;
    }
    this.begun.add(id);
    this.held.push({ at: performance.now(), slots: 1 });
    assert.equal((await this.propose(id, "RUNNING")).status, "ACCEPT");
    await sleep(30 * Math.random());
    this.held.push({ at: performance.now(), slots: -1 });
    assert.equal((await this.propose(id, "COMPLETED", RESULT)).status, "ACCEPT");
    this.ended.push(id);
  }

  private async propose(id: string, type: string, data?: unknown): Promise<z.output<typeof Proposed>> {
    return Proposed.parse(await this.api.ask(`/flow_runs/${id}/set_state`, { state: { type, data } }));
  }

  /** The numbers of runs with slots in D1, read repeatedly until all runs have ended. */
  async sample(): Promise<number[]> {
    const samples: number[] = [];
    while (this.ended.length < this.ids.size && Date.now() < this.until) {
      const body = { flow_runs: { state: { type: { any_: HOLDING } } } };
      samples.push(z.int().parse(await this.api.ask("/flow_runs/count", body)));
      await sleep(10);
    }
    return samples;
  }
}

function mostAtOnce(moments: readonly Moment[]): number {
  let now = 0;
  let most = 0;
  for (const { slots } of moments.toSorted((a, b) => a.at - b.at)) {
    now += slots;
    most = Math.max(most, now);
  }
  return most;
}
