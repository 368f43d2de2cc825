/**
 * The routes under /concurrency_limits: limits of tags. In version 2 these limits are named `tag:…`. A task run of an
 * old client takes a slot of each of its tags' limits, and gives the slots back. Old clients do not use leases.
 */
import * as z from "zod";
import type { NamedKey } from "#db/named-store";
import type { LimitRow } from "#db/rows/concurrency-limits";
import { listRoutes } from "#http/list-routes";
import { embedded, Reply, route } from "#http/route";
import { notFound, refused } from "#lib/api-error";
import { whole } from "#lib/portions";
import { concurrencyLimits, readTaskRuns } from "#objects/concurrency-limits/client";
import type { AcquireAnswer, MinimalLimit } from "#objects/concurrency-limits/messages";
import { removeLimit, upsertLimit } from "#resources/concurrency-limits-v2/definitions";
import {
  ConcurrencyLimit,
  ConcurrencyLimitCreate,
  MinimalConcurrencyLimitResponse,
  paging,
  resetting,
  tagSlots,
} from "#resources/concurrency-limits-v2/schema";
import { ConcurrencyLimitStore, TAG_PREFIX } from "#resources/concurrency-limits-v2/store";
import type { Tools } from "#tools";
import { printTime } from "#wire/dates";
import { Uuid } from "#wire/ids";

/** Prefect: `tag_concurrency_slot_wait_seconds`. Used if no slot can become free (a limit below zero). */
const MOST_WAIT_SECONDS = 30;

/** Converts a tag in a path to the name of the tag's limit in version 2. */
const ByTag = z.object({ tag: z.string() }).transform(({ tag }): NamedKey => ({ name: TAG_PREFIX + tag }));

const store = (tools: Tools) => new ConcurrencyLimitStore(tools);
const missing = () => notFound("Concurrency limit");
const namesOf = (tags: readonly string[]) => [...new Set(tags)].map((tag) => TAG_PREFIX + tag);
const tagOf = (name: string) => name.slice(TAG_PREFIX.length);

/** Limits of version 2, as version 1 shows them. */
async function show(tools: Tools, rows: readonly LimitRow[]) {
  const taskRuns = await readTaskRuns(tools, rows);
  return rows.map((row) => ({
    id: row.id,
    created: printTime(row.created),
    updated: printTime(row.updated),
    tag: tagOf(row.name),
    concurrency_limit: row.limit,
    active_slots: taskRuns[row.id] ?? [],
  }));
}

/** Takes a slot of each tag that has a limit, or throws a 423. The task run is the holder of the lease. The lease does not expire. */
async function takeTagSlots(tools: Tools, tags: readonly string[], taskRunId: string): Promise<MinimalLimit[]> {
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

function refusalOf(answer: Exclude<AcquireAnswer, { kind: "acquired" }>) {
  const zero = answer.limits.find(({ limit }) => limit === 0);
  if (zero) {
    const tag = tagOf(zero.name);
    return refused(423, `The concurrency limit on tag "${tag}" is 0 and will deadlock if the task tries to run again.`);
  }
  const retryAfter = answer.kind === "full" ? answer.retry_after_seconds : MOST_WAIT_SECONDS;
  const tag = tagOf(answer.limits[0]?.name ?? TAG_PREFIX);
  return refused(423, `Concurrency limit for the ${tag} tag has been reached`, { "Retry-After": String(retryAfter) });
}

/** The routes of one limit. The path has the limit's id or its tag. */
const one = <P extends z.ZodType<NamedKey>>(path: string, by: string, params: P) => [
  route(
    { method: "GET", path, summary: `Read a tag's limit${by}.`, params, response: ConcurrencyLimit },
    async ({ params, tools }) => {
      const row = await store(tools).read(params);
      if (!row?.name.startsWith(TAG_PREFIX)) throw missing();
      return (await show(tools, [row]))[0];
    },
  ),
  route({ method: "DELETE", path, summary: `Delete a tag's limit${by}.`, params }, async ({ params, tools }) => {
    if (!(await removeLimit(tools, params))) throw missing();
  }),
];

export const concurrencyLimitRoutes = [
  route(
    {
      method: "POST",
      path: "/concurrency_limits/",
      summary: "Create a tag's limit, or change it.",
      body: ConcurrencyLimitCreate,
      otherStatus: 201,
      response: ConcurrencyLimit,
    },
    async ({ body, tools }) => {
      const { row, created } = await upsertLimit(tools, TAG_PREFIX + body.tag, body.concurrency_limit);
      return new Reply((await show(tools, [row]))[0], created ? 201 : 200);
    },
  ),
  ...one("/concurrency_limits/{id:uuid}", "", z.object({ id: Uuid })),
  ...one("/concurrency_limits/tag/{tag}", " by the tag", ByTag),
  ...listRoutes({
    path: "/concurrency_limits",
    things: "limits of tags",
    body: paging,
    item: ConcurrencyLimit,
    list: async ({ tools }, part) => whole(await show(tools, await store(tools).listByName(part, { onlyTags: true }))),
  }),
  route(
    {
      method: "POST",
      path: "/concurrency_limits/tag/{tag}/reset",
      summary: "Take back all slots of a tag, and give one each to the task runs that are named.",
      params: ByTag,
      body: embedded(resetting),
    },
    async ({ params, body, tools }) => {
      const row = await store(tools).read(params);
      if (!row) throw missing();
      const taskRunIds = body.slot_override ?? [];
      const leases = taskRunIds.map((taskRunId): [string, string] => [taskRunId, tools.ids.random()]);
      await concurrencyLimits(tools).reset(row.id, leases);
    },
  ),
  route(
    {
      method: "POST",
      path: "/concurrency_limits/increment",
      summary: "Take a slot of each tag for a task run.",
      body: embedded(tagSlots),
      response: z.array(MinimalConcurrencyLimitResponse),
      errors: [423],
    },
    ({ body, tools }) => takeTagSlots(tools, body.names, body.task_run_id),
  ),
  route(
    {
      method: "POST",
      path: "/concurrency_limits/decrement",
      summary: "Give back the slots that a task run took of these tags.",
      body: embedded(tagSlots),
      response: z.array(MinimalConcurrencyLimitResponse),
    },
    // Prefect: here limits are shown by their names, not by their tags.
    ({ body, tools }) => concurrencyLimits(tools).releaseHeld(namesOf(body.names), body.task_run_id),
  ),
];
