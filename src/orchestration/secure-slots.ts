/** Asks the ConcurrencyLimits object for the slots that a state needs, and gives slots back. */
import { log } from "#lib/log";
import {
  acquireLease,
  concurrencyLimits,
  keepLease,
  readInUse,
  releaseLease,
} from "#objects/concurrency-limits/client";
import type { AcquireAnswer } from "#objects/concurrency-limits/messages";
import type { Decision, Effect, Need, RunContext, SlotAnswer, TagSlotAnswer } from "#orchestration/transition";
import type { Tools } from "#tools";

const NEEDS: ReadonlySet<string> = new Set<Need["kind"]>([
  "take-slot",
  "keep-slot",
  "see-slots",
  "keep-slot-without-end",
  "take-tag-slots",
]);

const isNeed = (effect: Effect): effect is Need => NEEDS.has(effect.kind);

/** The slot that a decision needs before it is written, or undefined. */
export function needOf({ effects }: Pick<Decision<RunContext>, "effects">): Need | undefined {
  return effects.find(isNeed);
}

/** Asks for the slot that a flow run's state needs. A repeated call takes no second slot: the lease has the same id. */
export async function askForSlot(tools: Tools, flowRunId: string, need: Need): Promise<SlotAnswer> {
  const holder = { type: "flow_run", id: flowRunId } as const;
  switch (need.kind) {
    case "take-slot":
    case "keep-slot": {
      const ask = { lease_id: need.lease_id, limit_ids: [need.limit_id], slots: 1, seconds: need.seconds, holder };
      return slotAnswer(await (need.kind === "take-slot" ? acquireLease : keepLease)(tools, ask));
    }
    case "see-slots": {
      const inUse = await readInUse(tools, [need.limit_id]);
      return (inUse[need.limit_id] ?? 0) >= need.slots ? "full" : "granted";
    }
    case "keep-slot-without-end":
      await concurrencyLimits(tools).makeEndless(need.lease_id, holder);
      return "granted";
    case "take-tag-slots":
      throw new Error("flow runs take no slots of tags");
    default:
      return need satisfies never;
  }
}

function slotAnswer(answer: AcquireAnswer): SlotAnswer {
  if (answer.kind !== "acquired") return "full";
  return answer.is_held ? "granted" : "none";
}

const TAG = "tag:";

/** Takes a slot of the limit of each tag that has a limit, or takes none. The run has the slots until it gives them back or has ended. */
export async function askForTagSlots(tools: Tools, taskRunId: string, need: Need): Promise<TagSlotAnswer> {
  if (need.kind !== "take-tag-slots") throw new Error("task runs take slots of tags only");
  const answer = await concurrencyLimits(tools).acquire({
    names: need.tags.map((tag) => TAG + tag),
    ids: [],
    slots: 1,
    mode: "concurrency",
    lease: { id: need.lease_id, seconds: null, holder: { type: "task_run", id: taskRunId } },
  });
  const tags = answer.limits.map(({ name }) => name.slice(TAG.length));
  if (answer.kind === "full") return { kind: "full", tags, retry_after_seconds: answer.retry_after_seconds };
  return answer.kind === "acquired" ? { kind: "granted" } : { kind: "too small", tags };
}

/**
 * Gives back the slots that the effects of a written state release. A failure is logged: a lease expires by itself, and the
 * ConcurrencyLimits object ends a lease without an end when it sees that the run has ended.
 */
export async function releaseSlots(tools: Tools, runId: string, effects: readonly Effect[]): Promise<void> {
  const releases = effects.flatMap((effect): Promise<unknown>[] => {
    if (effect.kind === "release-slot") return [releaseLease(tools, effect.lease_id)];
    if (effect.kind !== "release-tag-slots") return [];
    const names = effect.tags.map((tag) => TAG + tag);
    return [concurrencyLimits(tools).releaseHeld(names, runId)];
  });
  for (const result of await Promise.allSettled(releases))
    if (result.status === "rejected")
      log(tools, "error", "slots were not given back", { run_id: runId, error: result.reason });
}
