/** The events of named things, and of the changes that requests make to them. */
import { type Event, RESOURCE_ID, type Resource } from "#events/event";
import type { Micros } from "#lib/clock";
import type { Tools } from "#tools";
import { printTime } from "#wire/dates";

/** The change that a request makes to a thing. */
export type Action = "created" | "updated" | "deleted";

/** A thing that an event names. */
export interface Named {
  id: string;
  name: string;
}

/** The id and the time of an event. */
export interface Stamp {
  id: string;
  occurred: Micros;
}

/** The other parts of an event, besides its thing, its name and its stamp. `labels` are more labels of the thing. */
interface Rest extends Partial<Pick<Event, "related" | "payload" | "follows">> {
  labels?: Resource;
}

/** Returns the event `prefect.<kind>.<action>` of a thing. `at` is the time of the change, for events that are made later than the change. */
export function changeEvent(
  { clock, ids }: Tools,
  kind: string,
  action: Action,
  thing: Named,
  { at = clock(), ...rest }: Rest & { at?: Micros },
): Event {
  return eventOf(kind, thing, action, { id: ids.ordered(at), occurred: at }, rest);
}

/** Returns the event `prefect.<kind>.<what>` of a thing. */
export function eventOf(kind: string, thing: Named, what: string, { id, occurred }: Stamp, rest: Rest): Event {
  const { labels, related = [], payload = {}, follows = null } = rest;
  const resource = resourceOf(kind, thing, labels);
  return { occurred: printTime(occurred), event: `prefect.${kind}.${what}`, resource, related, payload, id, follows };
}

/** Returns a thing as a resource with more labels. */
export function resourceOf(kind: string, { id, name }: Named, labels: Resource = {}): Resource {
  return { [RESOURCE_ID]: `prefect.${kind}.${id}`, "prefect.resource.name": name, ...labels };
}
