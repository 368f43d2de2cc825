/** What is told when a variable is made, changed or deleted. */
import type { Event } from "#events/event";
import { printVariable, type VariableRow } from "#resources/variables/store";
import type { Tools } from "#tools";
import { printTime } from "#wire/dates";

/** The `prefect.variable.*` event of a change. */
export function variableEvent(tools: Tools, action: "created" | "updated" | "deleted", row: VariableRow): Event {
  const now = tools.clock();
  const { name, tags, value } = printVariable(row);
  return {
    occurred: printTime(now),
    event: `prefect.variable.${action}`,
    resource: { "prefect.resource.id": `prefect.variable.${row.id}`, "prefect.resource.name": name },
    related: [],
    payload: { name, tags, value },
    id: tools.ids.ordered(now),
    follows: null,
  };
}
