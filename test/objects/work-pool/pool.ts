/** A new work pool, its object, and its runs. */
import { env, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { expect } from "vitest";
import { objectName } from "#objects/client";
import type { LedgerRun } from "#objects/work-pool/ledger";
import type { WorkPool } from "#objects/work-pool/object";
import type { Reconciler } from "#objects/work-pool/reconciler";
import { makeTools, type Tools } from "#tools";
import { aFlowRun, api, type FlowRun, propose, type SetState, unique, WORKSPACE } from "../../support/world";

export const tools = (): Tools => makeTools(env, WORKSPACE, () => undefined);

export class Pool {
  readonly id: string;
  readonly name: string;
  readonly defaultQueueId: string;

  static async made(fields: Record<string, unknown> = {}): Promise<Pool> {
    const name = unique("pool");
    const { status, body } = await api<{ id: string; default_queue_id: string }>("POST", "/work_pools/", {
      name,
      type: "process",
      ...fields,
    });
    expect(status).toBe(201);
    return new Pool(body.id, name, body.default_queue_id);
  }

  private constructor(id: string, name: string, defaultQueueId: string) {
    this.id = id;
    this.name = name;
    this.defaultQueueId = defaultQueueId;
  }

  /** Creates a run that is due now or at another time. */
  run(state: Record<string, unknown> = { type: "SCHEDULED" }, queue = "default"): Promise<FlowRun> {
    return aFlowRun({ state, work_pool_name: this.name, work_queue_name: queue });
  }

  /** Creates so many runs. */
  async runs(count: number): Promise<string[]> {
    const made = await Promise.all(Array.from({ length: count }, () => this.run()));
    return made.map(({ id }) => id);
  }

  /** The runs that a worker gets. */
  async poll(): Promise<string[]> {
    const path = `/work_pools/${this.name}/get_scheduled_flow_runs`;
    const { status, body } = await api<{ flow_run: { id: string } }[]>("POST", path, {});
    expect(status).toBe(200);
    return body.map(({ flow_run }) => flow_run.id);
  }

  /** The runs that a poll of the default queue by id gets. */
  async pollQueue(): Promise<string[]> {
    const { body } = await api<{ id: string }[]>("POST", `/work_queues/${this.defaultQueueId}/get_runs`, {});
    return body.map(({ id }) => id);
  }

  /** Requests a slot, as a proposal of PENDING does. */
  slot(runId: string) {
    return {
      work_pool_id: this.id,
      work_pool_name: this.name,
      work_queue_id: this.defaultQueueId,
      run_id: runId,
    };
  }

  inObject<T>(look: (object: WorkPool, state: DurableObjectState) => T | Promise<T>): Promise<T> {
    return runInDurableObject(this.stub, (object, state) => look(object as unknown as WorkPool, state));
  }

  /** The runs that the object knows, by their due times. */
  known(): Promise<LedgerRun[]> {
    return this.inObject(knownRuns);
  }

  /** The time of the object's timer with this name, in milliseconds, or null if the timer is not set. */
  async timer(name: string): Promise<number | null> {
    const rows = await this.inObject((object) =>
      object.sql.exec<{ at: number }>("select at from sluice_timer where name = ?", name).toArray(),
    );
    return rows[0]?.at ?? null;
  }

  /** Moves the object's clock. */
  async wait(seconds: number): Promise<void> {
    await this.inObject((object) => {
      const now = object.clock() + seconds * 1_000_000;
      object.clock = () => now;
    });
  }

  /** Runs a timer of the object. */
  async do(timer: "check" | "late"): Promise<void> {
    await this.inObject((object) => object.onTimer(timer));
  }

  /** Runs the object's alarm if one is set. */
  alarm(): Promise<boolean> {
    return runDurableObjectAlarm(this.stub);
  }

  /** Evicts the object. Its memory is lost. */
  async evict(): Promise<void> {
    await this.inObject((object) => Object.assign(object, { components: null }));
  }

  private get stub() {
    return env.WORK_POOL.get(env.WORK_POOL.idFromName(objectName(WORKSPACE, this.name)));
  }
}

/** The runs that a pool's object knows, by their due times. */
export function knownRuns(object: WorkPool): LedgerRun[] {
  const { components } = object as unknown as { components: { pool: Reconciler } | null };
  const runs = [...(components?.pool.state?.runs.ledger.all() ?? [])];
  return runs.toSorted((a, b) => (a.due ?? 0) - (b.due ?? 0));
}

/** The number of these runs in each state, by name. */
export async function statesOf(ids: readonly string[]): Promise<Record<string, number>> {
  const { results } = await env.DB.prepare(
    "select state_name as name, count(*) as count from flow_run where id in (select value from json_each(?)) group by 1",
  )
    .bind(JSON.stringify(ids))
    .all<{ name: string; count: number }>();
  return Object.fromEntries(results.map(({ name, count }) => [name, count]));
}

/** Proposes a state and expects that it is accepted. */
export async function goes(id: string, type: string, force = false): Promise<SetState> {
  const answer = await propose(id, { type }, force);
  expect(answer).toMatchObject({ status: "ACCEPT" });
  return answer;
}
