/** The routes under /flow_runs/{id}/input. */
import { namedObject } from "#wire/named";
import { newColumns } from "#db/workspace-store";
import * as z from "zod";
import { flow_run_input } from "#db/tables/flow-run";
import { isLikeAny } from "#filters/like";
import { Listing } from "#http/listing";
import { embedded, route } from "#http/route";
import { conflict, notFound } from "#lib/api-error";
import { mapPortions } from "#lib/portions";
import { listWithArchived, withArchived } from "#resources/flow-runs/archived-reads";
import { FlowRunInputStore, printInput } from "#resources/flow-runs/input-store";
import type { Tools } from "#tools";
import { EntityText, UuidText } from "#wire/ids";
import { intFrom } from "#wire/scalars";
import { HugeText, LongText, ShortText } from "#wire/sizes";
import { Values } from "#filters/clause";

const store = (tools: Tools) => new FlowRunInputStore(tools);

/** Prefect: LOWERCASE_LETTERS_NUMBERS_AND_DASHES_ONLY_REGEX. Prefect fails if a key has other characters. */
const InputKey = ShortText.refine(
  (key) => /^[a-z0-9-]*$/.test(key),
  "value must only contain lowercase letters, numbers, and dashes.",
);

const FlowRunInput = namedObject("FlowRunInput", {
  ...EntityText,
  flow_run_id: UuidText,
  key: z.string(),
  value: z.string(),
  sender: z.string().nullable(),
});

export const flowRunInputRoutes = [
  route(
    {
      method: "POST",
      path: "/flow_runs/{id:uuid}/input",
      summary: "Create an input of a flow run.",
      body: embedded({ key: InputKey, value: HugeText, sender: LongText.nullish() }),
      status: 201,
      errors: [409],
    },
    async ({ params, body, tools }) => {
      const { key, value, sender = null } = body;
      const row = { ...newColumns(tools), flow_run_id: params.id, key, value, sender };
      const outcome = await store(tools).insert(row);
      if (outcome === "taken") throw conflict("A flow run input with this key already exists.");
      if (outcome === "no run") throw notFound("Flow run");
    },
  ),
  route(
    {
      method: "POST",
      path: "/flow_runs/{id:uuid}/input/filter",
      summary: "Read inputs of a flow run by the beginning of their keys, oldest first.",
      body: embedded({
        prefix: ShortText,
        limit: intFrom(0).default(1),
        exclude_keys: Values(z.string()).nullish(),
      }),
      response: z.array(FlowRunInput),
    },
    async ({ params, body, tools }) => {
      // Keys have no capital letters, so no key begins with a prefix that has capital letters.
      if (body.prefix !== body.prefix.toLowerCase()) return [];
      const matches = isLikeAny(flow_run_input.key, [`${body.prefix}%`]);
      const inputs = await listWithArchived(tools, [params.id], (own) =>
        store(own).list(params.id, matches, body.exclude_keys ?? [], body.limit),
      );
      return new Listing(mapPortions(inputs, (rows) => rows.map(printInput)));
    },
  ),
  route(
    {
      method: "GET",
      path: "/flow_runs/{id:uuid}/input/{key}",
      summary: "Read the value of an input.",
      response: z.string(),
    },
    async ({ params, tools }) => {
      const row = await withArchived(tools, [params.id], (own) => store(own).read(params.id, params.key));
      if (!row) throw notFound("Flow run input");
      return new Response(row.value, { headers: { "content-type": "text/plain; charset=utf-8" } });
    },
  ),
  route(
    { method: "DELETE", path: "/flow_runs/{id:uuid}/input/{key}", summary: "Delete an input.", status: 204 },
    async ({ params, tools }) => {
      if (!(await store(tools).remove(params.id, params.key))) throw notFound("Flow run input");
    },
  ),
];
