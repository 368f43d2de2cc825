/** Limits and offsets of lists. */
import * as z from "zod";
import { unprocessable } from "#lib/api-error";
import { Int, intFrom } from "#wire/scalars";

/** The default of a limit and its maximum. Prefect: PREFECT_SERVER_API_DEFAULT_LIMIT. */
export const MAX_LIMIT = 200;

/** `limit` in a body. `checkLimit` checks the bounds: Prefect reports a limit out of bounds in another shape than other faults. */
export const Limit = Int.nullish().transform((limit) => limit ?? MAX_LIMIT);

/** `offset` in a body. */
export const Offset = intFrom(0).default(0);

/** The maximum page number. With any limit, the position of the page's first row is then a safe integer. */
const MAX_PAGE_NUMBER = 1_000_000_000_000;

/** `page` in a body, from 1. */
export const Page = intFrom(1).pipe(z.number().max(MAX_PAGE_NUMBER)).default(1);

/** How many rows a bulk operation changes: the default and the maximum. Prefect: BULK_OPERATION_LIMIT. */
const MAX_BULK = 50;

/** `limit` of a bulk operation. */
export const BulkLimit = intFrom(1).pipe(z.number().max(MAX_BULK)).default(MAX_BULK);

/** Refuses a limit out of bounds (422 with a plain detail, as Prefect's `LimitBody`). */
export function checkLimit(limit: number): number {
  if (limit < 0) throw unprocessable("Invalid limit: must be greater than or equal to 0.");
  if (limit > MAX_LIMIT) throw unprocessable(`Invalid limit: must be less than or equal to ${MAX_LIMIT}.`);
  return limit;
}

/** A page as the `/paginate` routes answer it. */
export function pageOf<T>(results: readonly T[], count: number, limit: number, page: number) {
  return { results, count, limit, pages: limit === 0 ? 0 : Math.ceil(count / limit), page };
}

/** The schema of a page; `id` is its name in the OpenAPI document. */
export const paginated = <T extends z.ZodType>(item: T, id: string) =>
  z.object({ results: z.array(item), count: z.int(), limit: z.int(), pages: z.int(), page: z.int() }).meta({ id });
