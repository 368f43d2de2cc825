/** Events on the wire: the bodies and answers of their routes. */
import { z } from "zod";
import { embedded } from "#http/route";
import { Event, ReceivedEvent } from "#events/event";
import { EventFilter } from "#events/filter";
import { Int } from "#wire/scalars";

/** Prefect: INTERACTIVE_PAGE_SIZE, the default and the most. */
export const MAX_PAGE = 50;

export const EventsCreate = z.array(Event);

export const EventsRead = embedded({
  filter: EventFilter.nullish(),
  limit: Int.pipe(z.number().min(0).max(MAX_PAGE)).default(MAX_PAGE),
});

export const EventPage = z
  .object({ events: z.array(ReceivedEvent), total: z.int(), next_page: z.string().nullable() })
  .meta({ id: "EventPage" });

export const NextPage = z.object({ "page-token": z.string() });
