/** The events of what requests do to things with a name. */
import { type Event, RESOURCE_ID, type Resource } from "#events/event";
import type { Micros } from "#lib/clock";
import type { Tools } from "#tools";
import { printTime } from "#wire/dates";

/** What a request does to a thing. */
export type Action = "created" | "updated" | "deleted";

interface Named {
  id: string;
  name: string;
}

/** What an event has besides the thing and the action. */
interface Rest {
  payload?: Event["payload"];
  /** The labels of the thing's resource, after its id and its name. */
  labels?: Resource;
  related?: Resource[];
  /** The time of the change, where this moment is later. */
  at?: Micros;
}

/** The event `prefect.<kind>.<action>` of a thing. */
export function changeEvent(
  { clock, ids }: Tools,
  kind: string,
  action: Action,
  thing: Named,
  { payload = {}, labels = {}, related = [], at = clock() }: Rest,
): Event {
  return {
    occurred: printTime(at),
    event: `prefect.${kind}.${action}`,
    resource: resourceOf(kind, thing, labels),
    related,
    payload,
    id: ids.ordered(at),
    follows: null,
  };
}

/** A thing as a resource with more labels. */
export function resourceOf(kind: string, { id, name }: Named, labels: Resource): Resource {
  return { [RESOURCE_ID]: `prefect.${kind}.${id}`, "prefect.resource.name": name, ...labels };
}
