/** What the database looks for in segments, so that those without a wanted event are not opened: nothing is parsed for it. */
import { type SQL, sql } from "drizzle-orm";
import { type EventFilter, listOf } from "#events/filter";
import { each } from "#db/sql";

/** More texts are not looked for: to open and parse a segment is then the quicker way. */
const MAX_NEEDLES = 20;
/** Nor for those of more filters: SQLite takes 100 levels of `and`. */
const MAX_CONDITIONS = 30;

/** Whether the names of a segment's events (`s.counts`) have one that is wanted. */
export function nameNeedles(filter: EventFilter): SQL {
  const names = sql.raw("s.counts");
  return allOf([
    anyIn(names, filter.event?.name, (name) => `${JSON.stringify(name)}:`),
    anyIn(names, filter.event?.prefix, opening),
  ]);
}

/** Whether a segment's events (`s.events`) have the texts that any wanted event must have. Reads all of them. */
export function textNeedles(filter: EventFilter): SQL {
  const events = sql.raw("s.events");
  return allOf([
    anyIn(events, filter.id?.id, (id) => `"id":"${id}"`),
    ...[filter.resource, ...listOf(filter.related), ...listOf(filter.any_resource)].flatMap((resource) => [
      anyIn(events, resource?.id, (id) => JSON.stringify(id)),
      anyIn(events, resource && "id_prefix" in resource ? resource.id_prefix : null, opening),
    ]),
  ]);
}

function allOf(conditions: readonly (SQL | null)[]): SQL {
  const present = conditions.filter((condition) => condition !== null).slice(0, MAX_CONDITIONS);
  return present.length === 0 ? sql`true` : sql.join(present, sql` and `);
}

/** A text as JSON writes it, without the quote at its end. */
const opening = (text: string): string => JSON.stringify(text).slice(0, -1);

function anyIn(
  column: SQL,
  texts: readonly string[] | null | undefined,
  toNeedle: (text: string) => string,
): SQL | null {
  if (!texts?.length || texts.length > MAX_NEEDLES) return null;
  return sql`exists (select 1 from ${each(texts.map(toNeedle))} n where instr(${column}, n.value) > 0)`;
}
