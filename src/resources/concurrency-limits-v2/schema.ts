/** Concurrency limits on the wire: version 2, and version 1, which has limits of tags only. */
import { namedObject, namedStrictObject } from "#wire/named";
import * as z from "zod";
import { listOf, Name, ShortText } from "#wire/sizes";
import { EntityText, Uuid, UuidText } from "#wire/ids";
import { Limit, Offset } from "#wire/paging";
import { Bool, Float, Int, intFrom, literal } from "#wire/scalars";

/** How many limits one request may name. */
const MAX_NAMES = 1_000;

const Decay = Float.pipe(z.number().min(0));

export const ConcurrencyLimitV2Create = namedStrictObject("ConcurrencyLimitV2Create", {
  active: Bool.default(true),
  name: Name,
  limit: intFrom(0),
  active_slots: intFrom(0).default(0),
  denied_slots: intFrom(0).default(0),
  slot_decay_per_second: Decay.default(0),
});
export type ConcurrencyLimitV2Create = z.output<typeof ConcurrencyLimitV2Create>;

export const ConcurrencyLimitV2Update = namedStrictObject("ConcurrencyLimitV2Update", {
  active: Bool.nullish(),
  name: Name.nullish(),
  limit: intFrom(0).nullish(),
  active_slots: intFrom(0).nullish(),
  denied_slots: intFrom(0).nullish(),
  slot_decay_per_second: Decay.nullish(),
});
export type ConcurrencyLimitV2Update = z.output<typeof ConcurrencyLimitV2Update>;

/** A limit in the response to its creation. */
export const ConcurrencyLimitV2 = namedObject("ConcurrencyLimitV2", {
  ...EntityText,
  active: z.boolean(),
  name: z.string(),
  limit: z.int(),
  active_slots: z.int(),
  denied_slots: z.int(),
  slot_decay_per_second: z.number(),
  avg_slot_occupancy_seconds: z.number(),
});

/** A limit in the response to a read. */
export const GlobalConcurrencyLimitResponse = ConcurrencyLimitV2.omit({
  denied_slots: true,
  avg_slot_occupancy_seconds: true,
}).meta({ id: "GlobalConcurrencyLimitResponse" });

export const MinimalConcurrencyLimitResponse = namedObject("MinimalConcurrencyLimitResponse", {
  id: UuidText,
  name: z.string(),
  limit: z.int(),
});

export const ConcurrencyLimitWithLeaseResponse = namedObject("ConcurrencyLimitWithLeaseResponse", {
  lease_id: UuidText,
  limits: z.array(MinimalConcurrencyLimitResponse),
});

const Slots = Int.pipe(z.number().gt(0));
const LeaseSeconds = Float.pipe(z.number().min(60).max(86_400));

/** How many seconds a lease lasts if the request does not say. */
export const DEFAULT_LEASE_SECONDS = 300;

const ConcurrencyLeaseHolder = namedStrictObject("ConcurrencyLeaseHolder", {
  type: literal("flow_run", "task_run", "deployment"),
  id: Uuid,
});

/** The body of an acquisition. */
export const acquisition = {
  slots: Slots,
  names: listOf(ShortText, MAX_NAMES),
  mode: literal("concurrency", "rate_limit").default("concurrency"),
};

/** Prefect: accepted and ignored. A limit must exist before its slots are taken. */
const create_if_missing = Bool.nullish().meta({ deprecated: true });

/** The body of an acquisition without a lease. */
export const acquisitionWithoutLease = { ...acquisition, create_if_missing };

/** The additional fields of an acquisition under a lease. */
export const leased = {
  lease_duration: LeaseSeconds.default(DEFAULT_LEASE_SECONDS),
  holder: ConcurrencyLeaseHolder.nullish(),
};

/** The body of a request that gives slots back. */
export const giving = {
  slots: Slots,
  names: listOf(ShortText, MAX_NAMES),
  occupancy_seconds: Float.pipe(z.number().gt(0)).nullish(),
  create_if_missing,
};

export const renewal = { lease_duration: LeaseSeconds.optional() };
export const ending = { lease_id: Uuid };
export const paging = { limit: Limit, offset: Offset };

const BANNED = /[/%&><]/;

/** The tag of a limit. The limit is named after the tag. Prefect: a tag with one of these characters gets a 500. */
const LimitedTag = ShortText.refine((tag) => !BANNED.test(tag), {
  params: { type: "string_pattern_mismatch", ctx: { pattern: "^[^/%&><]*$" } },
  message: "String should match pattern '^[^/%&><]*$'",
});

export const ConcurrencyLimitCreate = namedStrictObject("ConcurrencyLimitCreate", {
  tag: LimitedTag,
  concurrency_limit: Int,
});

export const ConcurrencyLimit = namedObject("ConcurrencyLimit", {
  ...EntityText,
  tag: z.string(),
  concurrency_limit: z.int(),
  active_slots: z.array(UuidText),
});

/** The body of a request in which a task run takes or gives back a slot of each tag. */
export const tagSlots = { names: listOf(ShortText, MAX_NAMES), task_run_id: Uuid };

export const resetting = { slot_override: listOf(Uuid, MAX_NAMES).nullish() };
