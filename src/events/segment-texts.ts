/** Conditions on the texts of segments, by which the database leaves out segments without a wanted event and parses nothing. */
import { type SQL, sql } from "drizzle-orm";
import { each } from "#db/sql";
import { type EventFilter, listOf } from "#events/filter";

/** A criterion with more texts is no condition: to open and parse a segment takes less time then. */
const MAX_TEXTS = 20;
/** How many conditions a statement has: SQLite takes 100 levels of `and`. */
const MAX_CONDITIONS = 30;

/** Whether a segment (`s.counts`) has an event of a wanted name. */
export function hasNames(filter: EventFilter): SQL {
  const names = sql.raw("s.counts");
  return allOf([
    hasAny(names, filter.event?.name, (name) => `${JSON.stringify(name)}:`),
    hasAny(names, filter.event?.prefix, opening),
  ]);
}

/** Whether a segment (`s.events`) has the texts that each wanted event has. The database reads the whole text for that. */
export function hasTexts(filter: EventFilter): SQL {
  const events = sql.raw("s.events");
  return allOf([
    hasAny(events, filter.id?.id, (id) => `"id":"${id}"`),
    ...[filter.resource, ...listOf(filter.related), ...listOf(filter.any_resource)].flatMap((resource) => [
      hasAny(events, resource?.id, (id) => JSON.stringify(id)),
      hasAny(events, resource && "id_prefix" in resource ? resource.id_prefix : null, opening),
    ]),
  ]);
}

function allOf(conditions: readonly (SQL | null)[]): SQL {
  const present = conditions.filter((condition) => condition !== null).slice(0, MAX_CONDITIONS);
  return present.length === 0 ? sql`true` : sql.join(present, sql` and `);
}

/** A text as JSON writes it, without the quote at its end. */
const opening = (text: string): string => JSON.stringify(text).slice(0, -1);

function hasAny(
  column: SQL,
  values: readonly string[] | null | undefined,
  textOf: (value: string) => string,
): SQL | null {
  if (!values?.length || values.length > MAX_TEXTS) return null;
  return sql`exists (select 1 from ${each(values.map(textOf))} n where instr(${column}, n.value) > 0)`;
}
