/** The place of a scheduled run in its pool: the status of pool and workers, the slots in use, and the runs before it. Pure. */
import type { Micros } from "#lib/clock";
import { livenessAt, onlineUntil } from "#objects/work-pool/liveness";
import type { Offer, PlaceInQueue, SlotsInUse } from "#objects/work-pool/messages";
import type { PoolState } from "#objects/work-pool/pool-state";

/** How many holders of slots, and how many workers, are named. */
const MOST_SHOWN = 50;

/** The place of the run, or null where its queue is not there. */
export function placeInQueue(
  state: PoolState,
  types: ReadonlyMap<string, string>,
  run: Offer,
  now: Micros,
): PlaceInQueue | null {
  const queue = state.queues.get(run.queue_id);
  if (!queue) return null;
  const workers = [...state.workers.values()]
    .toSorted((a, b) => b.last_heartbeat - a.last_heartbeat)
    .slice(0, MOST_SHOWN);
  return {
    status: livenessAt(state.readyUntil(), now),
    workers: workers.map((worker) => ({
      name: worker.name,
      type: types.get(worker.name) ?? null,
      last_heartbeat: worker.last_heartbeat,
      is_online: now < onlineUntil(worker),
    })),
    queue: { status: livenessAt(queue.ready_until, now), last_polled: queue.last_polled },
    pool_slots: slotsOf(state, new Set(state.queues.keys())),
    queue_slots: slotsOf(state, new Set([queue.id])),
    before: state.runs.ledger.before(run, [...state.queues.values()], now),
  };
}

function slotsOf({ runs: { ledger } }: PoolState, queueIds: ReadonlySet<string>): SlotsInUse {
  const in_use = [...queueIds].reduce((sum, id) => sum + ledger.holding(id), 0);
  return { in_use, holders: ledger.holders(queueIds, MOST_SHOWN) };
}
