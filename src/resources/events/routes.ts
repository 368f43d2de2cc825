/** The routes under /events. */
import { namedObject } from "#wire/named";
import * as z from "zod";
import { writeEvents, eventStream } from "#events/emit";
import { Event, ReceivedEvent } from "#events/event";
import { EventFilter, windowOf } from "#events/filter";
import type { EventsPage } from "#events/page";
import { type EventReader, eventReader } from "#events/read-events";
import { embedded, route } from "#http/route";
import { socket } from "#http/socket";
import { Countable, countEvents, EventCount, TimeUnit } from "#resources/events/count-by";
import type { Env } from "#env";
import type { Tools } from "#tools";
import { Float, Int } from "#wire/scalars";
import { Buffer } from "node:buffer";
import { refused } from "#lib/api-error";
import { decodeBase64 } from "#lib/bytes";
import type { Micros } from "#lib/clock";
import { printTime } from "#wire/dates";

const MAX_PAGE = 50;

const EventsRead = embedded({
  filter: EventFilter.nullish(),
  limit: Int.pipe(z.number().min(0).max(MAX_PAGE)).default(MAX_PAGE),
});

const EventPage = namedObject("EventPage", {
  events: z.array(ReceivedEvent),
  total: z.int(),
  next_page: z.string().nullable(),
});

const EventsCount = embedded({
  filter: EventFilter,
  time_unit: TimeUnit.default("day"),
  time_interval: Float.pipe(z.number().min(0.01)).default(1),
});

/** The header of an answer that did not read all that it needed from the archive. It names the time up to which it did. */
const ARCHIVE_HEADER = "x-sluice-archive";

function answerOf(body: unknown, reader: EventReader, { order }: EventFilter): unknown {
  const { stop } = reader;
  if (stop === null) return body;
  const read = order === "DESC" ? `since=${printTime(stop.last_occurred)}` : `until=${printTime(stop.first_occurred)}`;
  return Response.json(body, { headers: { [ARCHIVE_HEADER]: `partial; ${read}` } });
}

/** Gives a page, and the URL of the next page. A page has fewer events, or none, if there are too many segments to read. */
function printPage(token: PageToken, { found, next }: EventsPage, request: Request) {
  const { limit, after, total, is_whole } = token;
  const read = token.read + found.length;
  const isMore = limit === 0 ? total > 0 : next !== null && (read < total || !is_whole);
  const url = new URL("/api/events/filter/next", request.url);
  url.searchParams.set("page-token", printPageToken({ ...token, read, after: next ?? after }));
  return { events: found.map(({ event }) => event), total, next_page: isMore ? url.href : null };
}

async function firstPage(filter: EventFilter, limit: number, request: Request, tools: Tools) {
  const window = windowOf(filter, tools.clock());
  const reader = eventReader(tools);
  const page = await reader.firstPage({ filter, window, limit });
  const token = { filter, window, total: page.total, is_whole: page.isWhole, limit, read: 0, after: null };
  return answerOf(printPage(token, page, request), reader, filter);
}

export const eventRoutes = [
  route(
    { method: "POST", path: "/events", summary: "Record a batch of events.", body: z.array(Event), status: 204 },
    ({ body, tools }) => writeEvents(tools, body),
  ),
  route(
    { method: "POST", path: "/events/filter", summary: "Read events.", body: EventsRead, response: EventPage },
    ({ body, request, tools }) => firstPage(body.filter ?? { order: "DESC" }, body.limit, request, tools),
  ),
  route(
    {
      method: "GET",
      path: "/events/filter/next",
      summary: "Read the next page of a query for events.",
      query: z.object({ "page-token": z.string() }),
      response: EventPage,
      errors: [403],
    },
    async ({ query, request, tools }) => {
      const token = parsePageToken(query["page-token"]);
      const reader = eventReader(tools);
      return answerOf(printPage(token, await reader.page(token), request), reader, token.filter);
    },
  ),
  route(
    {
      method: "POST",
      path: "/events/count-by/{countable}",
      summary: "Count events by time, by name or by resource.",
      params: z.object({ countable: Countable }),
      body: EventsCount,
      response: z.array(EventCount),
    },
    async ({ params, body, tools }) => {
      const reader = eventReader(tools);
      const counts = await countEvents(reader, { ...body, ...params }, tools.clock());
      return answerOf(counts, reader, body.filter);
    },
  ),
];

const streamOf = (env: Env, workspaceId: string) => eventStream(env.EVENT_STREAM, workspaceId);

export const eventSockets = [
  socket("/events/in", "events-in", streamOf),
  socket("/events/out", "events-out", streamOf),
  socket("/logs/out", "logs-out", streamOf),
];

/** Prefect: INTERACTIVE_PAGE_SIZE. How many events a page has by default, and at most. */
export /** The years 1 to 9999. */
const FIRST_TIME: Micros = -62_135_596_800_000_000;
const LAST_TIME: Micros = 253_402_300_800_000_000;
const MAX_ID_CHARACTERS = 36;

/** A time in microseconds. In distant years it is too large for `z.int()`. */
const Time = z.number().min(FIRST_TIME).max(LAST_TIME);

/** Any client may make a token, so each field has the bounds of its meaning. */
const PageToken = z.strictObject({
  filter: EventFilter,
  window: z.strictObject({ since: Time, until: Time }),
  total: z.int().min(0),
  /** Whether all segments were read for the total. Old tokens do not have this field. */
  is_whole: z.boolean().default(true),
  limit: z.int().min(0).max(MAX_PAGE),
  read: z.int().min(0),
  after: z.strictObject({ occurred: Time, id: z.string().max(MAX_ID_CHARACTERS) }).nullable(),
});
export type PageToken = z.output<typeof PageToken>;

/** Gives the token as text for a URL. The window replaces the filter's times. */
export function printPageToken({ filter, ...rest }: PageToken): string {
  return Buffer.from(JSON.stringify({ ...rest, filter: { ...filter, occurred: undefined } })).toString("base64");
}

/** Reads a token. Throws 403 for a text that is not a token. */
export function parsePageToken(text: string): PageToken {
  try {
    return PageToken.parse(JSON.parse(decodeBase64(text)));
  } catch {
    throw refused(403, "Forbidden");
  }
}
