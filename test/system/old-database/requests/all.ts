/** All requests about the old database. No answer changes when newer data of other flows is stored. */
import type { Api } from "../../support/api.ts";
import type { Request } from "../answers.ts";
import { eventRequests } from "./events.ts";
import { readKnown } from "./known.ts";
import { logRequests } from "./logs.ts";
import { flowRunRequests } from "./flow-runs.ts";
import { taskRunRequests } from "./task-runs.ts";
import { thingRequests } from "./things.ts";

export async function allRequests(api: Api): Promise<Request[]> {
  const known = await readKnown(api);
  return [
    ...thingRequests(known),
    ...flowRunRequests(known),
    ...taskRunRequests(known),
    ...logRequests(known),
    ...eventRequests(known),
  ];
}
