/** The routes of a list. `/filter` reads a part of it, `/count` counts, `/paginate` reads a page with the count. */
import * as z from "zod";
import { Listing } from "#http/listing";
import { embedded, type Input, type ParamsOf, type Route, route } from "#http/route";
import type { Portions } from "#lib/portions";
import { checkLimit, type Limit, type Offset, Page, pageOf, paginated } from "#wire/paging";

/** A part of a list. */
export interface Part {
  limit: number;
  offset: number;
}

/** The fields of a body that asks for a part of a list. */
type Fields = { limit: typeof Limit; offset: typeof Offset };

type Asked<Path extends string, F extends Fields, Left extends string> = Input<
  ParamsOf<Path>,
  unknown,
  Omit<z.output<z.ZodObject<F>>, Left>
>;

interface ListSpec<Path extends string, F extends Fields> {
  /** The path of the resource, which the paths of the routes begin with. */
  path: Path;
  /** The resource in the plural, as summaries name it. */
  things: string;
  /**
   * The fields of the body of `/filter`, in the order in which a 422 response lists their faults: `limit`, `offset`, the filters, and
   * `sort` if the list can be sorted. `/count` has only the filters. `/paginate` has `page` in place of `offset`.
   */
  body: F;
  /** The schema of one item, as answers show it. */
  item: z.ZodType;
  /** Gives a part of the list, as answers show it. The limit is within its bounds. */
  list(asked: Asked<Path, F, "limit" | "offset">, part: Part): Promise<Portions<unknown>>;
  /** Gives how many items the filters find. Without this function there is no `/count`. */
  count?(asked: Asked<Path, F, "limit" | "offset" | "sort">): Promise<number>;
  /** The name of the answer of `/paginate` in the OpenAPI document. Without this name there is no `/paginate`. */
  paginated?: string;
  /** Gives the part and the count in one read. Without this function `/paginate` makes two reads at the same time. */
  listAndCount?(
    asked: Asked<Path, F, "limit" | "offset">,
    part: Part,
  ): Promise<{ items: Portions<unknown>; count: number }>;
}

/** The routes of a list: `/filter`, and `/count` and `/paginate` if the description has them. */
export function listRoutes<Path extends string, F extends Fields>(spec: ListSpec<Path, F>): Route[];
export function listRoutes(spec: ListSpec<string, Fields>): Route[] {
  return [filterRoute(spec), ...(spec.count ? [countRoute(spec)] : []), ...(spec.paginated ? [pageRoute(spec)] : [])];
}

type AnySpec = ListSpec<string, Fields>;

function filterRoute(spec: AnySpec): Route {
  return route(
    {
      method: "POST",
      path: `${spec.path}/filter`,
      summary: `Read ${spec.things}.`,
      body: embedded({ ...spec.body }),
      response: z.array(spec.item),
    },
    async (asked) => {
      const { limit, offset } = asked.body;
      return new Listing(await spec.list(asked, { limit: checkLimit(limit), offset }));
    },
  );
}

function countRoute(spec: AnySpec): Route {
  const filters = Object.entries(spec.body).filter(
    ([name]) => !["limit", "offset", "sort", "include_secrets"].includes(name),
  );
  return route(
    {
      method: "POST",
      path: `${spec.path}/count`,
      summary: `Count ${spec.things}.`,
      body: embedded(Object.fromEntries(filters)),
      response: z.int(),
    },
    (asked) => spec.count?.(asked),
  );
}

function pageRoute(spec: AnySpec): Route {
  const fields = Object.entries(spec.body).map(([name, field]) => (name === "offset" ? ["page", Page] : [name, field]));
  return route(
    {
      method: "POST",
      path: `${spec.path}/paginate`,
      summary: `Read a page of ${spec.things}, with how many there are.`,
      // The fields of the description, with `page` in place of `offset`.
      body: embedded(Object.fromEntries(fields) as { limit: typeof Limit; page: typeof Page }),
      response: paginated(spec.item, spec.paginated ?? ""),
    },
    async (asked) => {
      const { page } = asked.body;
      const limit = checkLimit(asked.body.limit);
      const { items, count } = await readBoth(spec, asked, { limit, offset: (page - 1) * limit });
      return new Listing(items, (results) => pageOf(results, count, limit, page));
    },
  );
}

async function readBoth(spec: AnySpec, asked: Asked<string, Fields, "limit" | "offset">, part: Part) {
  if (spec.listAndCount) return spec.listAndCount(asked, part);
  const [items, count = 0] = await Promise.all([spec.list(asked, part), spec.count?.(asked)]);
  return { items, count };
}
