/** The events of flows. */
import type { Event } from "#events/event";
import { type FlowRow, printFlow } from "#resources/flows/store";
import type { Tools } from "#tools";
import { printTime } from "#wire/dates";

/** The event of a flow that was created, changed or deleted. */
export function flowEvent(tools: Tools, action: "created" | "updated" | "deleted", row: FlowRow): Event {
  const now = tools.clock();
  const { name, tags, labels } = printFlow(row);
  return {
    occurred: printTime(now),
    event: `prefect.flow.${action}`,
    resource: { "prefect.resource.id": `prefect.flow.${row.id}`, "prefect.resource.name": name },
    related: [],
    payload: { name, tags, labels },
    id: tools.ids.ordered(now),
    follows: null,
  };
}
