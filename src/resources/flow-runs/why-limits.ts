/** Limits that are full, and who holds their slots. Pure. */
import type { Usage } from "#objects/concurrency-limits/messages";
import type { SlotsInUse } from "#objects/work-pool/messages";
import type { SlotHolder } from "#resources/flow-runs/why-schema";
import {
  type Finding,
  finding,
  inPool,
  inQueue,
  isDue,
  ofDeployment,
  type Situation,
} from "#resources/flow-runs/why-situation";
import { printOptionalTime, printTime } from "#wire/dates";

const TAG = "tag:";
/** So many holders are named in a message; the facts name more. */
const NAMED = 3;

const SLOT_FREE = "It starts when one of those who hold a slot ends and a worker asks next.";

/** The limit of the run's pool. */
export function fullPool(situation: Situation): readonly Finding[] {
  const { row, standing } = situation;
  const pool = inPool(row);
  if (!pool || row.p_limit === null || !standing) return [];
  const limited = fullSlots(situation, row.p_limit, standing.pool_slots);
  if (!limited) return [];
  const message = `The work pool "${pool.work_pool_name}" ${fullness(limited)}.`;
  return finding(
    { code: "work_pool_full", message, facts: { ...pool, ...limited }, since: null },
    { who: "worker", message: limited.limit === 0 ? "Raise the limit." : SLOT_FREE },
  );
}

/** The limit of the run's queue. */
export function fullQueue(situation: Situation): readonly Finding[] {
  const { row, standing } = situation;
  const queue = inQueue(row);
  if (!queue || row.q_limit === null || !standing) return [];
  const limited = fullSlots(situation, row.q_limit, standing.queue_slots);
  if (!limited) return [];
  const message = `The work queue "${queue.work_queue_name}" ${fullness(limited)}.`;
  return finding(
    { code: "work_queue_full", message, facts: { ...queue, ...limited }, since: null },
    { who: "worker", message: limited.limit === 0 ? "Raise the limit." : SLOT_FREE },
  );
}

/** The limit of the run's deployment, its own or one that it shares. */
export function deploymentLimit(situation: Situation): readonly Finding[] {
  const { row } = situation;
  const deployment = ofDeployment(row);
  if (!deployment || row.c_id === null || row.c_limit === null || row.c_active !== 1) return [];
  const usage = situation.usage[row.c_id];
  if (!usage || usage.in_use < row.c_limit || usage.leases.some(({ holder }) => holder?.id === row.id)) return [];
  const limited = leased(situation, row.c_limit, usage);
  const isCancelled = row.d_strategy === "CANCEL_NEW";
  return finding(
    {
      code: "deployment_limit_full",
      message: `The concurrency limit of the deployment "${deployment.deployment_name}" ${fullness(limited)}.`,
      facts: {
        ...deployment,
        limit_id: row.c_id,
        limit_name: row.c_name ?? "",
        ...limited,
        collision_strategy: row.d_strategy ?? "ENQUEUE",
      },
      since: fullSince(usage),
    },
    {
      who: "worker",
      message: nextOfLimit(row.c_limit, isCancelled),
    },
  );
}

function nextOfLimit(limit: number, isCancelled: boolean): string {
  if (limit === 0) return "Raise the limit.";
  return isCancelled
    ? "Its deployment cancels runs that find no slot: it is cancelled if none is free when a worker takes it."
    : SLOT_FREE;
}

/** The limits of tags that tasks of a running flow wait for. */
export function fullTags(situation: Situation): readonly Finding[] {
  const byLimit = Map.groupBy(situation.tagged, ({ limit_id }) => limit_id);
  return [...byLimit.values()].flatMap((tasks) => {
    const [first] = tasks;
    const usage = first && situation.usage[first.limit_id];
    if (!usage || usage.in_use < first.limit) return [];
    const holders = new Set(usage.leases.map(({ holder }) => holder?.id));
    const waiting_task_runs = tasks.map(({ id }) => id).filter((id) => !holders.has(id));
    if (waiting_task_runs.length === 0) return [];
    const limited = leased(situation, first.limit, usage);
    const tag = first.limit_name.slice(TAG.length);
    return finding(
      {
        code: "tag_limit_full",
        message: `${waiting_task_runs.length} of its tasks cannot begin: the limit of the tag "${tag}" ${fullness(limited)}.`,
        facts: { limit_id: first.limit_id, limit_name: first.limit_name, ...limited, tag, waiting_task_runs },
        since: fullSince(usage),
      },
      { who: "process", message: "Its process asks for slots again and again." },
    );
  });
}

interface Limited {
  limit: number;
  in_use: number;
  holders: SlotHolder[];
}

/** The slots of a pool or queue if the run finds none, or null. */
function fullSlots(situation: Situation, limit: number, slots: SlotsInUse): Limited | null {
  if (!isDue(situation) || slots.in_use < limit || slots.holders.includes(situation.row.id)) return null;
  const holders = slots.holders.map((id): SlotHolder => {
    const run = situation.names.get(id);
    const since = printOptionalTime(run?.since);
    return { type: "flow_run", id, name: run?.name ?? null, state_name: run?.state_name ?? null, since, until: null };
  });
  return { limit, in_use: slots.in_use, holders };
}

function leased({ names }: Situation, limit: number, { in_use, leases }: Usage): Limited {
  const holders = leases.flatMap(({ holder, created, expires }): SlotHolder[] => {
    if (!holder) return [];
    const run = names.get(holder.id);
    const times = { since: printTime(created), until: printOptionalTime(expires) };
    return [{ ...holder, name: run?.name ?? null, state_name: run?.state_name ?? null, ...times }];
  });
  return { limit, in_use, holders };
}

/** Full since the last slot was taken, if it is known who holds each. */
function fullSince({ in_use, leases }: Usage): string | null {
  if (in_use === 0 || leases.length !== in_use) return null;
  return printTime(Math.max(...leases.map(({ created }) => created)));
}

function fullness({ limit, in_use, holders }: Limited): string {
  if (limit === 0) return "is 0, so that no run may start";
  const named = holders.slice(0, NAMED).map(({ name, id }) => (name === null ? id : `"${name}"`));
  const others = in_use - named.length;
  const who = [...named, ...(others > 0 ? [`${others} more`] : [])].join(", ");
  return `is full: ${in_use} of ${limit} slots are in use, by ${who}`;
}
