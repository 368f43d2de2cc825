/** The routes under /concurrency_limits: limits of tags, which are the limits named `tag:…` of version 2. */
import * as z from "zod";
import type { LimitRow } from "#db/rows/concurrency-limits";
import { listRoutes } from "#http/list-routes";
import { embedded, Reply, route } from "#http/route";
import { notFound } from "#lib/api-error";
import { whole } from "#lib/portions";
import { concurrencyLimits, readTaskRuns } from "#objects/concurrency-limits/client";
import { removeLimit, upsertLimit } from "#resources/concurrency-limits-v2/definitions";
import { MinimalConcurrencyLimitResponse, paging } from "#resources/concurrency-limits-v2/schema";
import { ConcurrencyLimitStore, type LimitKey, TAG_PREFIX } from "#resources/concurrency-limits-v2/store";
import { ConcurrencyLimit, ConcurrencyLimitCreate, resetting, tagSlots } from "#resources/concurrency-limits/schema";
import { giveTagSlots, tagOf, takeTagSlots } from "#resources/concurrency-limits/tag-slots";
import type { Tools } from "#tools";
import { printTime } from "#wire/dates";
import { Uuid } from "#wire/ids";

/** A tag in a path, as version 2 names the tag's limit. */
const ByTag = z.object({ tag: z.string() }).transform(({ tag }): LimitKey => ({ name: TAG_PREFIX + tag }));

const store = (tools: Tools) => new ConcurrencyLimitStore(tools);
const missing = () => notFound("Concurrency limit");

/** Limits of version 2, as version 1 shows them. */
async function show(tools: Tools, rows: readonly LimitRow[]) {
  const taskRuns = await readTaskRuns(
    tools,
    rows.map(({ id }) => id),
  );
  return rows.map((row) => ({
    id: row.id,
    created: printTime(row.created),
    updated: printTime(row.updated),
    tag: tagOf(row.name),
    concurrency_limit: row.limit,
    active_slots: taskRuns[row.id] ?? [],
  }));
}

/** The routes of one limit, which the path names by its id or by its tag. */
const one = <P extends z.ZodType<LimitKey>>(path: string, by: string, params: P) => [
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
    list: async ({ tools }, part) => whole(await show(tools, await store(tools).list(part, { onlyTags: true }))),
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
    ({ body, tools }) => giveTagSlots(tools, body.names, body.task_run_id),
  ),
];
