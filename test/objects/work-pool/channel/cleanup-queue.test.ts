import { env, runInDurableObject } from "cloudflare:test";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import {
  CLEANUP_TABLES,
  CleanupQueue,
  LEASE,
  MAX_DELIVERIES,
  type Outcome,
  type Reservation,
} from "#objects/work-pool/channel/cleanup-queue";
import { Sql } from "#objects/sql";
import { timeoutMessage } from "#objects/work-pool/client";
import type { CleanupKind, CleanupMessage } from "#objects/work-pool/messages";

const KINDS: CleanupKind[] = ["cancelling_timeout_teardown.v1", "pending_claim_teardown.v1"];
const QUEUES = ["q1", "q2"];
const HOLDERS = ["a", "b"];
const DAY = 86_400_000_000;

const message = (n: number, kind: CleanupKind = KINDS[0] ?? "pending_claim_teardown.v1"): CleanupMessage => ({
  message_id: `m${n}`,
  idempotency_key: `k${n}`,
  kind,
  work_queue_id: n % 3 === 0 ? null : (QUEUES[n % 2] ?? null),
  target: { flow_run_id: `r${n}` },
  data: { n },
});

/**
 * Calls a function with a queue in real tables. `again` gives the same queue to an object that has just started.
 * `clear` empties the queue.
 */
function withQueue<T>(work: (again: () => CleanupQueue, clear: () => void) => T): Promise<T> {
  const stub = env.WORK_POOL.get(env.WORK_POOL.newUniqueId());
  let tokens = 0;
  return runInDurableObject(stub, (_, state) => {
    const { sql } = state.storage;
    sql.exec(CLEANUP_TABLES);
    const newToken = () => `t${++tokens}`;
    const clear = () => void sql.exec("delete from cleanup");
    return work(() => new CleanupQueue(new Sql(sql), newToken), clear);
  });
}

type Step =
  | { do: "enqueue"; n: number }
  | { do: "reserve"; holder: string; kinds: CleanupKind[]; queues: string[] | null }
  | { do: "ack" | "release" | "renew"; n: number; isStale: boolean }
  | { do: "pass"; micros: number }
  | { do: "expire" }
  | { do: "restart" };

const n = fc.integer({ min: 0, max: 5 });
const aStep: fc.Arbitrary<Step> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ do: fc.constant("enqueue"), n }) },
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant("reserve"),
      holder: fc.constantFrom(...HOLDERS),
      kinds: fc.constantFrom(KINDS, KINDS.slice(0, 1), KINDS.slice(1)),
      queues: fc.constantFrom(null, null, QUEUES, QUEUES.slice(0, 1), []),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({ do: fc.constantFrom("ack", "release", "renew"), n, isStale: fc.boolean() }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("pass"), micros: fc.constantFrom(1, LEASE / 2, LEASE) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("expire") }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("restart") }) },
);

/** A simple model of the queue. */
interface Model {
  n: number;
  deliveries: number;
  held: { token: string; holder: string; until: number } | null;
  lastToken: string;
  isOver: "acknowledged" | "given up" | null;
}

const kindOf = (number: number): CleanupKind => KINDS[number % 2] ?? "pending_claim_teardown.v1";

function fits(model: Model, { kinds, queues }: Extract<Step, { do: "reserve" }>): boolean {
  const { work_queue_id } = message(model.n);
  const isQueue = queues === null || (work_queue_id !== null && queues.includes(work_queue_id));
  return model.isOver === null && model.held === null && kinds.includes(kindOf(model.n)) && isQueue;
}

function giveBack(model: Model): void {
  model.held = null;
  if (model.deliveries >= MAX_DELIVERIES) model.isOver = "given up";
}

function operated(
  model: Model | undefined,
  what: "ack" | "release" | "renew",
  token: string,
  now: number,
): Outcome["status"] {
  if (!model || model.isOver !== null) return "not_found";
  if (model.held === null) return "not_current";
  if (model.held.token !== token) return "invalid_token";
  if (model.held.until <= now || what === "release") {
    const isLate = model.held.until <= now;
    giveBack(model);
    if (model.isOver !== null) return "dead_lettered";
    return isLate ? "expired" : "accepted";
  }
  if (what === "ack") Object.assign(model, { held: null, isOver: "acknowledged" });
  else model.held.until = now + LEASE;
  return "accepted";
}

test(
  "a message is reserved by one worker at a time, is kept until it is acknowledged, and is then deleted",
  { timeout: 60_000 },
  () =>
    withQueue((again, clear) => {
      fc.assert(
        fc.property(fc.array(aStep, { minLength: 20, maxLength: 80 }), (steps) => {
          clear();
          let queue = again();
          let now = 1_000;
          const models: Model[] = [];
          for (const step of steps) {
            switch (step.do) {
              case "enqueue":
                queue.enqueue(message(step.n, kindOf(step.n)), now);
                if (!models.some((model) => model.n === step.n)) {
                  models.push({ n: step.n, deliveries: 0, held: null, lastToken: "none", isOver: null });
                }
                break;
              case "reserve": {
                const wanted = models.find((model) => fits(model, step));
                const got = queue.reserve({ holder: step.holder, kinds: step.kinds, queueIds: step.queues }, now);
                expect(got?.message_id).toBe(wanted && `m${wanted.n}`);
                if (!got || !wanted) break;
                wanted.deliveries++;
                expect(got).toMatchObject({ delivery_count: wanted.deliveries, lease_expires_at: now + LEASE });
                expect(got.reservation_token).not.toBe(wanted.lastToken);
                wanted.lastToken = got.reservation_token;
                wanted.held = { token: got.reservation_token, holder: step.holder, until: now + LEASE };
                break;
              }
              case "ack":
              case "release":
              case "renew": {
                const model = models.find((one) => one.n === step.n);
                const token = step.isStale ? "stale" : (model?.lastToken ?? "none");
                const outcome = queue.operate(step.do, `m${step.n}`, token, now);
                expect(outcome.status).toBe(operated(model, step.do, token, now));
                expect(outcome.lease_expires_at).toBe(
                  step.do === "renew" && outcome.status === "accepted" ? now + LEASE : null,
                );
                break;
              }
              case "pass":
                now += step.micros;
                break;
              case "expire":
                queue.expire(now);
                for (const model of models) if (model.held && model.held.until <= now) giveBack(model);
                break;
              default:
                queue = again();
            }
            const held = models.flatMap((model) => model.held ?? []);
            expect(queue.nextExpiry()).toBe(held.length > 0 ? Math.min(...held.map(({ until }) => until)) : null);
            expect(queue.hasWaiting()).toBe(models.some((model) => model.isOver === null && model.held === null));
            for (const holder of HOLDERS) {
              expect(queue.inHand(holder, now)).toBe(
                held.filter((one) => one.holder === holder && one.until > now).length,
              );
            }
          }
        }),
        { numRuns: 150 },
      );
    }),
);

const WISH = { holder: "a", kinds: KINDS, queueIds: null };

/** Reserves a message that must exist. */
function reserved(queue: CleanupQueue, now: number): Reservation {
  const got = queue.reserve(WISH, now);
  if (!got) throw new Error("nothing to reserve");
  return got;
}

test("a message is delivered unchanged", () =>
  withQueue((again) => {
    again().enqueue(message(4), 1);
    expect(again().reserve(WISH, 2)).toEqual({
      message_id: "m4",
      kind: KINDS[0],
      work_queue_id: "q1",
      target: { flow_run_id: "r4" },
      data: { n: 4 },
      delivery_count: 1,
      reservation_token: "t1",
      lease_expires_at: 2 + LEASE,
    });
  }));

test("the same key or the same id is the same message, also after the message has ended", () =>
  withQueue((again) => {
    const queue = again();
    queue.enqueue(message(1), 1);
    queue.enqueue({ ...message(2), idempotency_key: "k1" }, 1);
    queue.enqueue({ ...message(1), idempotency_key: "k3" }, 1);
    const { message_id, reservation_token } = reserved(queue, 2);
    expect(queue.reserve(WISH, 2)).toBeNull();
    queue.operate("ack", message_id, reservation_token, 3);
    queue.enqueue(message(1), 4);
    expect(queue.hasWaiting()).toBe(false);
  }));

test("an ended message is remembered for a week", () =>
  withQueue((again) => {
    const queue = again();
    queue.enqueue(message(1), 0);
    queue.operate("ack", "m1", reserved(queue, 0).reservation_token, 0);
    queue.enqueue(message(2), 7 * DAY);
    queue.enqueue(message(1), 7 * DAY);
    expect([reserved(queue, 7 * DAY), reserved(queue, 7 * DAY)].map((one) => one.message_id)).toEqual(["m2", "m1"]);
  }));

test("the statements of a heartbeat read only messages that have not ended", async () => {
  const stub = env.WORK_POOL.get(env.WORK_POOL.newUniqueId());
  const plans = await runInDurableObject(stub, (_, { storage: { sql } }) => {
    sql.exec(CLEANUP_TABLES);
    const seen: string[] = [];
    class Explained extends Sql {
      override read(statement: string, ...params: SqlStorageValue[]): never[] {
        const plan = sql.exec<{ detail: string }>(`explain query plan ${statement}`, ...params).toArray();
        seen.push(plan.map(({ detail }) => detail).join("; "));
        return [];
      }
    }
    const queue = new CleanupQueue(new Explained(sql), () => "t");
    queue.expire(1);
    queue.nextExpiry();
    queue.inHand("a", 1);
    queue.hasWaiting();
    return seen;
  });
  expect(plans).toHaveLength(4);
  for (const plan of plans) expect(plan).toContain("cleanup_open");
});

test("a message waits for a worker without a time limit", () =>
  withQueue((again) => {
    again().enqueue(message(1), 0);
    again().enqueue(message(2), 400 * DAY);
    expect(reserved(again(), 400 * DAY).message_id).toBe("m1");
  }));

test("the message of a timed-out cancellation has the original's id", async () => {
  // The result of Python's uuid5(NAMESPACE_URL, "prefect:cancelling_timeout_teardown.v1:…:…").
  const run = { id: "11111111-1111-4111-8111-111111111111", work_queue_id: "q", infrastructure_pid: "7" };
  const made = timeoutMessage({ ...run, cancelled_state_id: "22222222-2222-4222-8222-222222222222" });
  expect(made).toEqual({
    message_id: "793530b2-6591-51d9-a22d-32a9885ef157",
    idempotency_key:
      "cancelling_timeout_teardown.v1:11111111-1111-4111-8111-111111111111:22222222-2222-4222-8222-222222222222",
    kind: "cancelling_timeout_teardown.v1",
    work_queue_id: "q",
    target: { flow_run_id: run.id, infrastructure_pid: "7" },
    data: {},
  });
});
