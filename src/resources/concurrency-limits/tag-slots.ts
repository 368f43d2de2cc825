/** A task run takes a slot of each of its tags' limits, and gives the slots back. Old clients, which know no leases, do so. */
import { refused } from "#lib/api-error";
import { concurrencyLimits } from "#objects/concurrency-limits/client";
import type { AcquireAnswer, MinimalLimit } from "#objects/concurrency-limits/messages";
import { TAG_PREFIX } from "#resources/concurrency-limits-v2/store";
import type { Tools } from "#tools";

const namesOf = (tags: readonly string[]) => [...new Set(tags)].map((tag) => TAG_PREFIX + tag);

/** The tag of a limit's name. */
export const tagOf = (name: string) => name.slice(TAG_PREFIX.length);

/** Takes a slot of each tag that has a limit, or throws a 423. The lease is the task run's and does not expire. */
export async function takeTagSlots(tools: Tools, tags: readonly string[], taskRunId: string): Promise<MinimalLimit[]> {
  const answer = await concurrencyLimits(tools).acquire({
    names: namesOf(tags),
    ids: [],
    slots: 1,
    mode: "concurrency",
    lease: { id: tools.ids.random(), seconds: null, holder: { type: "task_run", id: taskRunId } },
  });
  if (answer.kind !== "acquired") throw refusalOf(answer);
  return answer.limits.map((limit) => ({ ...limit, name: tagOf(limit.name) }));
}

/** Gives back what the task run took of these tags. Prefect: here limits are shown by their names, not by their tags. */
export function giveTagSlots(tools: Tools, tags: readonly string[], taskRunId: string): Promise<MinimalLimit[]> {
  return concurrencyLimits(tools).releaseHeld(namesOf(tags), taskRunId);
}

function refusalOf(answer: Exclude<AcquireAnswer, { kind: "acquired" }>) {
  const zero = answer.limits.find(({ limit }) => limit === 0);
  if (zero) {
    return refused(
      423,
      `The concurrency limit on tag "${tagOf(zero.name)}" is 0 and will deadlock if the task tries to run again.`,
    );
  }
  const retryAfter = answer.kind === "full" ? answer.retry_after_seconds : MOST_WAIT_SECONDS;
  const tag = tagOf(answer.limits[0]?.name ?? TAG_PREFIX);
  return refused(423, `Concurrency limit for the ${tag} tag has been reached`, { "Retry-After": String(retryAfter) });
}

/** Prefect: `tag_concurrency_slot_wait_seconds`, where no slot will ever be free (a limit below zero). */
const MOST_WAIT_SECONDS = 30;
