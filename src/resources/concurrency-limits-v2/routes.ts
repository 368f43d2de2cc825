/** The routes under /v2/concurrency_limits: limits by name, their slots and leases. */
import * as z from "zod";
import type { NamedKey } from "#db/named-store";
import { InvalidRequest, toDetails } from "#http/errors";
import { listRoutes } from "#http/list-routes";
import { embedded, route } from "#http/route";
import { notFound, refused, unprocessable } from "#lib/api-error";
import { whole } from "#lib/portions";
import {
  concurrencyLimits,
  idOfNothing,
  readInUse,
  releaseLease,
  renewLease,
} from "#objects/concurrency-limits/client";
import type { AcquireAsk } from "#objects/concurrency-limits/messages";
import { createLimit, removeLimit, updateLimit } from "#resources/concurrency-limits-v2/definitions";
import {
  acquisition,
  acquisitionWithoutLease,
  ConcurrencyLimitV2,
  ConcurrencyLimitV2Create,
  ConcurrencyLimitV2Update,
  ConcurrencyLimitWithLeaseResponse,
  DEFAULT_LEASE_SECONDS,
  ending,
  giving,
  GlobalConcurrencyLimitResponse,
  leased,
  MinimalConcurrencyLimitResponse,
  paging,
  renewal,
} from "#resources/concurrency-limits-v2/schema";
import { ConcurrencyLimitStore, printLimit } from "#resources/concurrency-limits-v2/store";
import type { Tools } from "#tools";
import { canonicalUuid, isUuid, Uuid } from "#wire/ids";

/** Prefect: a text in the form of a UUID is an id. */
const ByKey = z
  .object({ id_or_name: z.string() })
  .transform(({ id_or_name: text }): NamedKey => (isUuid(text) ? { id: canonicalUuid(text) } : { name: text }));

const store = (tools: Tools) => new ConcurrencyLimitStore(tools);
const missing = () => notFound("Concurrency Limit");

/** Takes slots of all existing limits among these names. Throws 423 if the limits are full, 422 if the slots can never be taken. */
async function takeSlots(
  tools: Tools,
  { names, slots, mode }: Omit<AcquireAsk, "ids" | "lease">,
  lease: AcquireAsk["lease"],
) {
  const ask = { names: [...new Set(names)], ids: [], slots, mode, lease };
  const answer = await concurrencyLimits(tools).acquire(ask);
  if (answer.kind === "acquired") return answer;
  if (answer.kind === "full") throw refused(423, "Locked", { "Retry-After": String(answer.retry_after_seconds) });
  if (answer.kind === "too many") throw unprocessable("Slots requested is greater than the limit");
  throw unprocessable(
    `Only concurrency limits with slot decay can be used for rate limiting. The following limits do not have a decay configured: '${answer.limits.map(({ name }) => name).join(",")}'`,
  );
}

export const concurrencyLimitV2Routes = [
  route(
    {
      method: "POST",
      path: "/v2/concurrency_limits/",
      summary: "Create a concurrency limit.",
      body: ConcurrencyLimitV2Create,
      status: 201,
      response: ConcurrencyLimitV2,
      errors: [409],
    },
    async ({ body, tools }) => {
      const row = await createLimit(tools, body);
      return {
        ...printLimit(row, body.active_slots),
        denied_slots: body.denied_slots,
        avg_slot_occupancy_seconds: row.avg_slot_occupancy_seconds,
      };
    },
  ),
  route(
    {
      method: "GET",
      path: "/v2/concurrency_limits/{id_or_name}",
      summary: "Read a concurrency limit by its id or name.",
      params: ByKey,
      response: GlobalConcurrencyLimitResponse,
    },
    async ({ params, tools }) => {
      const row = await store(tools).read(params);
      if (!row) throw missing();
      return printLimit(row, (await readInUse(tools, [row.id]))[row.id] ?? 0);
    },
  ),
  ...listRoutes({
    path: "/v2/concurrency_limits",
    things: "concurrency limits",
    body: paging,
    item: GlobalConcurrencyLimitResponse,
    async list({ tools }, part) {
      const rows = await store(tools).listByName(part);
      const ids = rows.map(({ id }) => id);
      const inUse = await readInUse(tools, ids);
      return whole(rows.map((row) => printLimit(row, inUse[row.id] ?? 0)));
    },
  }),
  route(
    {
      method: "PATCH",
      path: "/v2/concurrency_limits/{id_or_name}",
      summary: "Change a concurrency limit.",
      params: ByKey,
      body: ConcurrencyLimitV2Update,
      status: 204,
      errors: [409],
    },
    async ({ params, body, tools }) => {
      if (!(await updateLimit(tools, params, body))) throw missing();
    },
  ),
  route(
    {
      method: "DELETE",
      path: "/v2/concurrency_limits/{id_or_name}",
      summary: "Delete a concurrency limit.",
      params: ByKey,
      status: 204,
    },
    async ({ params, tools }) => {
      if (!(await removeLimit(tools, params))) throw missing();
    },
  ),
  route(
    {
      method: "POST",
      path: "/v2/concurrency_limits/increment",
      summary: "Take slots of concurrency limits.",
      body: embedded(acquisitionWithoutLease),
      response: z.array(MinimalConcurrencyLimitResponse),
      errors: [423],
    },
    async ({ body, tools }) => (await takeSlots(tools, body, null)).limits,
  ),
  route(
    {
      method: "POST",
      path: "/v2/concurrency_limits/increment-with-lease",
      summary: "Take slots of concurrency limits under a lease, which expires unless it is renewed.",
      body: embedded({ ...acquisition, ...leased }),
      response: ConcurrencyLimitWithLeaseResponse,
      errors: [423],
    },
    async ({ body, tools }) => {
      const id = tools.ids.random();
      const { limits, is_held: isHeld } = await takeSlots(tools, body, {
        id,
        seconds: body.lease_duration,
        holder: body.holder ?? null,
      });
      return { lease_id: isHeld ? id : idOfNothing(id), limits };
    },
  ),
  route(
    {
      method: "POST",
      path: "/v2/concurrency_limits/decrement",
      summary: "Give back slots that were taken without a lease.",
      body: embedded(giving),
      response: z.array(MinimalConcurrencyLimitResponse),
    },
    ({ body, tools }) =>
      concurrencyLimits(tools).give([...new Set(body.names)], body.slots, body.occupancy_seconds ?? null),
  ),
  route(
    {
      method: "POST",
      path: "/v2/concurrency_limits/decrement-with-lease",
      summary: "Give back the slots of a lease.",
      body: embedded(ending),
      status: 204,
    },
    async ({ body, tools }) => void (await releaseLease(tools, body.lease_id)),
  ),
  route(
    {
      method: "POST",
      path: "/v2/concurrency_limits/leases/{lease_id}/renew",
      summary: "Renew a lease.",
      body: embedded(renewal),
      status: 204,
      errors: [410],
    },
    async ({ params, body, tools }) => {
      const leaseId = leaseIdOf(params, body);
      if (!(await renewLease(tools, leaseId, body.lease_duration ?? DEFAULT_LEASE_SECONDS))) {
        throw refused(410, "Lease not found - it may have expired or been revoked");
      }
    },
  ),
];

/** Prefect: on this route an id that is not a UUID gets a 422, not a 404. */
function leaseIdOf(params: { lease_id: string }, body: unknown): string {
  const parsed = z.object({ lease_id: Uuid }).safeParse(params);
  if (parsed.success) return parsed.data.lease_id;
  throw new InvalidRequest(toDetails(parsed.error.issues, "path", params, false), body);
}
