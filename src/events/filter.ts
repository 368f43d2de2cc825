/** The filter of events on the wire, and whether an event matches it. */
import { namedStrictObject } from "#wire/named";
import * as z from "zod";
import { type ReceivedEvent, type Resource, RESOURCE_ID, RESOURCE_ROLE, resourceId } from "#events/event";
import { meetsTextQuery } from "#lib/text-query";
import { DAY, type Micros } from "#lib/clock";
import { Time } from "#wire/dates";
import { Uuid } from "#wire/ids";
import { listOf as listUpTo } from "#wire/sizes";

/** How many values a list of a filter may have. An event is looked up in a set, so many values cost little. */
const MAX_VALUES = 50_000;
/** How many prefixes or patterns a filter may have, and how many filters there may be. Each is checked for each event. */
const MAX_PATTERNS = 1_000;
const MAX_PATTERN_CHARACTERS = 2_000;
const MAX_FILTERS = 100;
const MAX_LABELS = 500;

const Texts = listUpTo(z.string(), MAX_VALUES).nullish();
const Pattern = z.string().max(MAX_PATTERN_CHARACTERS);
const Prefixes = listUpTo(Pattern, MAX_PATTERNS).nullish();

/** Labels, each with patterns (`*`, `?`, a leading `!`). The label has to match one of its patterns. */
const ResourceSpecification = z
  .record(z.string(), z.union([Pattern, listUpTo(Pattern, MAX_PATTERNS)]))
  .refine(
    (labels) => Object.keys(labels).length <= MAX_LABELS,
    `A filter may name ${MAX_LABELS} labels of a resource at most`,
  )
  .meta({ id: "ResourceSpecification" });
type ResourceSpecification = z.output<typeof ResourceSpecification>;

const EventOccurredFilter = namedStrictObject("EventOccurredFilter", {
  since: Time.optional(),
  until: Time.optional(),
});

const EventNameFilter = namedStrictObject("EventNameFilter", {
  prefix: Prefixes,
  exclude_prefix: Prefixes,
  name: Texts,
  exclude_name: Texts,
});

const EventAnyResourceFilter = namedStrictObject("EventAnyResourceFilter", {
  id: Texts,
  id_prefix: Prefixes,
  labels: ResourceSpecification.nullish(),
});
type EventAnyResourceFilter = z.output<typeof EventAnyResourceFilter>;

const EventResourceFilter = EventAnyResourceFilter.extend({ distinct: z.boolean().optional() }).meta({
  id: "EventResourceFilter",
});

const EventRelatedFilter = namedStrictObject("EventRelatedFilter", {
  id: Texts,
  role: Texts,
  resources_in_roles: z
    .array(z.tuple([z.string(), z.string()]))
    .max(MAX_PATTERNS)
    .nullish(),
  labels: ResourceSpecification.nullish(),
});
type EventRelatedFilter = z.output<typeof EventRelatedFilter>;

/** The filter of events on the wire. */
export const EventFilter = namedStrictObject("EventFilter", {
  occurred: EventOccurredFilter.optional(),
  event: EventNameFilter.nullish(),
  resource: EventResourceFilter.nullish(),
  related: z.union([EventRelatedFilter, listUpTo(EventRelatedFilter, MAX_FILTERS)]).nullish(),
  any_resource: z.union([EventAnyResourceFilter, listUpTo(EventAnyResourceFilter, MAX_FILTERS)]).nullish(),
  id: z
    .strictObject({ id: listUpTo(Uuid, MAX_VALUES).nullish() })
    .meta({ id: "EventIDFilter" })
    .optional(),
  text: z
    .strictObject({ query: z.string().max(200) })
    .meta({ id: "EventTextFilter" })
    .nullish(),
  order: z.enum(["ASC", "DESC"]).meta({ id: "EventOrder" }).default("DESC"),
});
export type EventFilter = z.output<typeof EventFilter>;

/** A period of time. Both ends are included. */
export interface Window {
  since: Micros;
  until: Micros;
}

/** Prefect: `EventOccurredFilter.since`, from the start of today. */
const DEFAULT_DAYS = 180;

/** Returns the window in which the wanted events occurred. Default: the last 180 days until now. */
export function windowOf(filter: EventFilter, now: Micros): Window {
  return {
    since: filter.occurred?.since ?? Math.floor(now / DAY) * DAY - DEFAULT_DAYS * DAY,
    until: filter.occurred?.until ?? now,
  };
}

/** Whether an event matches the filter, apart from the window. An empty list counts as absent. */
export function matchesEvent(filter: EventFilter, event: ReceivedEvent): boolean {
  return (
    matchesName(filter, event.event) &&
    (!filter.resource || matchesResource(filter.resource, event.resource)) &&
    listOf(filter.related).every((related) => matchesRelated(related, event)) &&
    listOf(filter.any_resource).every((any) =>
      [event.resource, ...event.related].some((resource) => matchesResource(any, resource)),
    ) &&
    isAmong(filter.id?.id, event.id) &&
    matchesText(filter, event)
  );
}

/** Returns one filter or several filters as a list. */
export function listOf<T>(filters: T | T[] | null | undefined): T[] {
  if (filters === null || filters === undefined) return [];
  return Array.isArray(filters) ? filters : [filters];
}

/** Whether the list is empty or has this value. */
function isAmong(wanted: readonly string[] | null | undefined, value: string): boolean {
  if (!wanted?.length) return true;
  return wanted.length > SHORT_LIST ? setOf(wanted).has(value) : wanted.includes(value);
}

const SHORT_LIST = 8;
const sets = new WeakMap<readonly string[], Set<string>>();

/** The list as a set. The set is made once, because one filter checks many events. */
function setOf(list: readonly string[]): Set<string> {
  const known = sets.get(list);
  if (known) return known;
  const set = new Set(list);
  sets.set(list, set);
  return set;
}

function hasPrefix(wanted: readonly string[] | null | undefined, value: string): boolean {
  return !wanted?.length || wanted.some((prefix) => value.startsWith(prefix));
}

/** Whether the name of an event matches the filter. */
export function matchesName({ event: wanted }: EventFilter, name: string): boolean {
  if (!wanted) return true;
  const isExcluded =
    wanted.exclude_prefix?.some((prefix) => name.startsWith(prefix)) || wanted.exclude_name?.includes(name);
  return !isExcluded && hasPrefix(wanted.prefix, name) && isAmong(wanted.name, name);
}

function matchesResource(wanted: EventAnyResourceFilter, resource: Resource): boolean {
  const id = resourceId(resource);
  return isAmong(wanted.id, id) && hasPrefix(wanted.id_prefix, id) && matchesLabels(wanted.labels, resource);
}

/** Prefect: one related resource has to match all criteria. Each event matches a filter without criteria. */
function matchesRelated(wanted: EventRelatedFilter, event: ReceivedEvent): boolean {
  if (!wanted.id?.length && !wanted.role?.length && !wanted.resources_in_roles?.length && !hasLabels(wanted.labels))
    return true;
  return event.related.some((resource) => {
    const id = resourceId(resource);
    const role = resource[RESOURCE_ROLE] ?? "";
    const inRoles = wanted.resources_in_roles;
    return (
      isAmong(wanted.id, id) &&
      isAmong(wanted.role, role) &&
      (!inRoles?.length || inRoles.some(([wantedId, wantedRole]) => wantedId === id && wantedRole === role)) &&
      matchesLabels(wanted.labels, resource)
    );
  });
}

function hasLabels(labels: ResourceSpecification | null | undefined): labels is ResourceSpecification {
  return labels !== null && labels !== undefined && Object.keys(labels).length > 0;
}

function matchesLabels(labels: ResourceSpecification | null | undefined, resource: Resource): boolean {
  if (!hasLabels(labels)) return true;
  return Object.entries(labels).every(([label, patterns]) => {
    const value = resource[label];
    if (isUnset(label, patterns)) return true;
    return value !== undefined && [patterns].flat().some((pattern) => fits(pattern, value));
  });
}

/** Prefect: an empty pattern for the id or the role counts as absent. For any other label, an empty pattern matches nothing. */
function isUnset(label: string, patterns: string | string[]): boolean {
  return patterns.length === 0 && (label === RESOURCE_ID || label === RESOURCE_ROLE);
}

function fits(pattern: string, value: string): boolean {
  const isNegated = pattern.startsWith("!");
  return globFits(isNegated ? pattern.slice(1) : pattern, value) !== isNegated;
}

/** `*` is any text, `?` is any one character. There is no regular expression, because the search for a user's pattern may never end. */
function globFits(pattern: string, value: string): boolean {
  let p = 0;
  let v = 0;
  let star = -1;
  let resume = 0;
  while (v < value.length) {
    if (p < pattern.length && pattern[p] !== "*" && (pattern[p] === "?" || pattern[p] === value[v])) {
      p++;
      v++;
    } else if (pattern[p] === "*") {
      star = p++;
      resume = v;
    } else if (star >= 0) {
      p = star + 1;
      v = ++resume;
    } else {
      return false;
    }
  }
  while (pattern[p] === "*") p++;
  return p === pattern.length;
}

function matchesText({ text }: EventFilter, event: ReceivedEvent): boolean {
  if (!text || text.query.trim() === "") return true;
  const { event: name, resource, related, payload } = event;
  const parts = [name, ...[resource, related, payload].map((part) => JSON.stringify(part))];
  return meetsTextQuery(text.query, parts.join(" "));
}
