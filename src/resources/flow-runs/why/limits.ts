/** The reasons about limits that are full, with the runs that hold their slots. */
import type { Usage } from "#objects/concurrency-limits/messages";
import type { SlotsInUse } from "#objects/work-pool/messages";
import {
  type Facts,
  inPool,
  inQueue,
  isDue,
  ofDeployment,
  type Reason,
  reason,
  type Situation,
} from "#resources/flow-runs/why/reason";
import type { SlotHolder } from "#resources/flow-runs/why/schema";
import { printOptionalTime, printTime } from "#wire/dates";

const TAG = "tag:";
/** How many holders a sentence names. The facts name more holders. */
const NAMED = 3;

const RAISE = "Raise the limit.";
const SLOT_FREE = "It starts when one of those who hold a slot ends and a worker asks next.";

export const fullPool = reason("work_pool_full", {
  when: (situation) => {
    const pool = inPool(situation.row);
    return pool && fullSlots(situation, pool, situation.row.p_concurrency_limit, situation.standing?.pool_slots);
  },
  sentence: (facts) => `The work pool "${facts.work_pool_name}" ${fullness(facts)}.`,
  next: ({ limit }) => ({ who: "worker", message: limit === 0 ? RAISE : SLOT_FREE }),
});

export const fullQueue = reason("work_queue_full", {
  when: (situation) => {
    const queue = inQueue(situation.row);
    return queue && fullSlots(situation, queue, situation.row.q_concurrency_limit, situation.standing?.queue_slots);
  },
  sentence: (facts) => `The work queue "${facts.work_queue_name}" ${fullness(facts)}.`,
  next: ({ limit }) => ({ who: "worker", message: limit === 0 ? RAISE : SLOT_FREE }),
});

/** The reason that a deployment's limit is full, for a run that is due. */
export const deploymentLimit = fullDeploymentLimit(isDue);

/** The reason that a deployment's limit is full, for a run that requests a slot at a later time. */
export const deploymentLimitAhead = fullDeploymentLimit(
  (situation) => !isDue(situation) && situation.state?.name === "AwaitingConcurrencySlot",
);

/** The limit of the run's deployment, which other deployments may share. */
function fullDeploymentLimit(counts: (situation: Situation) => boolean) {
  return reason("deployment_limit_full", {
    when: (situation) => (counts(situation) ? deploymentLimitFacts(situation) : null),
    sentence: (facts) => `The concurrency limit of the deployment "${facts.deployment_name}" ${fullness(facts)}.`,
    since: fullSince,
    next: ({ limit, collision_strategy }) => ({ who: "worker", message: nextOfLimit(limit, collision_strategy) }),
  });
}

function deploymentLimitFacts(situation: Situation): Facts<"deployment_limit_full"> | null {
  const { row } = situation;
  const deployment = ofDeployment(row);
  if (!deployment || row.c_id === null || row.c_limit === null || row.c_active !== 1) return null;
  const usage = situation.usage[row.c_id];
  if (!usage || usage.in_use < row.c_limit || usage.leases.some(({ holder }) => holder?.id === row.id)) return null;
  return {
    ...deployment,
    limit_id: row.c_id,
    limit_name: row.c_name ?? "",
    ...leased(situation, row.c_limit, usage),
    collision_strategy: row.d_strategy ?? "ENQUEUE",
  };
}

function nextOfLimit(limit: number, strategy: "ENQUEUE" | "CANCEL_NEW"): string {
  if (limit === 0) return RAISE;
  return strategy === "CANCEL_NEW"
    ? "Its deployment cancels runs that find no slot: it is cancelled if none is free when a worker takes it."
    : SLOT_FREE;
}

/** The limits of tags for which tasks of a running flow wait. */
export const fullTags: Reason = (situation) =>
  [...Map.groupBy(situation.tagged, ({ limit_id }) => limit_id).values()].flatMap((tasks) => fullTag(tasks)(situation));

/** The limit of the tag that these task runs have. */
function fullTag(tasks: Situation["tagged"]): Reason {
  return reason("tag_limit_full", {
    when: (situation) => tagLimitFacts(situation, tasks),
    sentence: (facts) =>
      `${facts.waiting_task_runs.length} of its tasks cannot begin: the limit of the tag "${facts.tag}" ${fullness(facts)}.`,
    since: fullSince,
    next: () => ({ who: "process", message: "Its process asks for slots again and again." }),
  });
}

function tagLimitFacts(situation: Situation, tasks: Situation["tagged"]): Facts<"tag_limit_full"> | null {
  const [first] = tasks;
  const usage = first && situation.usage[first.limit_id];
  if (!usage || usage.in_use < first.limit) return null;
  const holders = new Set(usage.leases.map(({ holder }) => holder?.id));
  const waiting_task_runs = tasks.map(({ id }) => id).filter((id) => !holders.has(id));
  if (waiting_task_runs.length === 0) return null;
  const { limit_id, limit_name, limit } = first;
  const tag = limit_name.slice(TAG.length);
  return { limit_id, limit_name, ...leased(situation, limit, usage), tag, waiting_task_runs };
}

type Limited = Pick<Facts<"work_pool_full">, "limit" | "in_use" | "holders">;

/** Gives a pool or queue with its slots. Gives null if there is no limit, or if the run is not due, has a slot or can get a slot. */
function fullSlots<Place>(situation: Situation, place: Place, limit: number | null, slots: SlotsInUse | undefined) {
  if (limit === null || !slots || !isDue(situation)) return null;
  if (slots.in_use < limit || slots.holders.includes(situation.row.id)) return null;
  const holders = slots.holders.map((id): SlotHolder => {
    const run = situation.names.get(id);
    const since = printOptionalTime(run?.since);
    return { type: "flow_run", id, name: run?.name ?? null, state_name: run?.state_name ?? null, since, until: null };
  });
  return { ...place, limit, in_use: slots.in_use, holders };
}

/** The slots of a concurrency limit, with the holders of the leases. */
function leased({ names }: Situation, limit: number, { in_use, leases }: Usage): Limited {
  const holders = leases.flatMap(({ holder, created, expires }): SlotHolder[] => {
    if (!holder) return [];
    const run = names.get(holder.id);
    const times = { since: printTime(created), until: printOptionalTime(expires) };
    return [{ ...holder, name: run?.name ?? null, state_name: run?.state_name ?? null, ...times }];
  });
  return { limit, in_use, holders };
}

/** The time at which the last slot was taken, if the holder of each slot is known. */
function fullSince({ limit_id }: { limit_id: string }, { usage }: Situation): string | null {
  const { in_use, leases } = usage[limit_id] ?? { in_use: 0, leases: [] };
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
