/** How a scheduled run stands in its pool: who is alive, which slots are in use, and what comes before it. Pure. */
import type { Micros } from "#lib/clock";
import type { Book } from "#objects/work-pool/book";
import { livenessAt, onlineUntil } from "#objects/work-pool/health";
import type { Offer, SlotsInUse, Standing } from "#objects/work-pool/messages";

/** So many holders of slots and so many workers are named. */
const MOST_SHOWN = 50;

/** How the run stands, or null where its queue is not there. */
export function standingOf(book: Book, types: ReadonlyMap<string, string>, run: Offer, now: Micros): Standing | null {
  const queue = book.queues.get(run.queue_id);
  if (!queue) return null;
  const all = [...book.queues.values()];
  const workers = [...book.workers.values()]
    .toSorted((a, b) => b.last_heartbeat - a.last_heartbeat)
    .slice(0, MOST_SHOWN);
  return {
    status: livenessAt(book.servedUntil(), now),
    workers: workers.map((worker) => ({
      name: worker.name,
      type: types.get(worker.name) ?? null,
      last_heartbeat: worker.last_heartbeat,
      is_online: now < onlineUntil(worker),
    })),
    queue: { status: livenessAt(queue.ready_until, now), last_polled: queue.last_polled },
    pool_slots: slotsOf(book, new Set(book.queues.keys())),
    queue_slots: slotsOf(book, new Set([queue.id])),
    before: book.ledger.before(run, all, now),
  };
}

function slotsOf({ ledger }: Book, queueIds: ReadonlySet<string>): SlotsInUse {
  const in_use = [...queueIds].reduce((sum, id) => sum + ledger.holding(id), 0);
  return { in_use, holders: ledger.holders(queueIds, MOST_SHOWN) };
}
