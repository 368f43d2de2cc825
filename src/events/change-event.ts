/** The events of what requests do to things with a name. */
import { type Event, RESOURCE_ID, type Resource } from "#events/event";
import type { Tools } from "#tools";
import { printTime } from "#wire/dates";

/** What a request does to a thing. */
export type Action = "created" | "updated" | "deleted";

/** What an event has besides the thing and the action. */
interface Rest {
  payload?: Event["payload"];
  /** The labels of the thing's resource, after its id and its name. */
  labels?: Resource;
  related?: Resource[];
}

/** The event `prefect.<kind>.<action>` of a thing, at this moment. */
export function changeEvent(
  { clock, ids }: Tools,
  kind: string,
  action: Action,
  { id, name }: { id: string; name: string },
  { payload = {}, labels = {}, related = [] }: Rest,
): Event {
  const now = clock();
  return {
    occurred: printTime(now),
    event: `prefect.${kind}.${action}`,
    resource: { [RESOURCE_ID]: `prefect.${kind}.${id}`, "prefect.resource.name": name, ...labels },
    related,
    payload,
    id: ids.ordered(now),
    follows: null,
  };
}
