/** Requests that every operation refuses: an old version of the API, bodies of the wrong form, ids that are none. */
import { isNotYet } from "../not-yet.ts";
import operations from "../operations.json" with { type: "json" };
import type { Scenario, World } from "../play.ts";

export const badRequests: Scenario = { name: "bad-requests", play: (world) => playBad(world, false) };
export const badRequestsOfAutomations: Scenario = {
  name: "bad-requests-automations",
  play: (world) => playBad(world, true),
};

const BODIES: Record<string, string> = {
  "broken body": '{"name": ',
  "a list": "[]",
  "a number": "5",
  "an unknown field": '{"colour": 1, "limit": 0}',
};

async function playBad(world: World, ofAutomations: boolean): Promise<void> {
  for (const [operation, hasBody] of Object.entries(operations.operations)) {
    if (isNotYet(operation) !== ofAutomations) continue;
    const request = fill(world, operation);
    await world.send(`${operation}: an old version`, request, {
      headers: { "x-prefect-api-version": "0.1.0" },
      view: () => null,
    });
    if (operation.includes("{id}")) {
      await world.send(`${operation}: no id`, operation.replace("{id}", "none").replaceAll(/\{\w+\}/g, "none"));
    }
    if (hasBody) await badBodies(world, operation, request);
  }
}

async function badBodies(world: World, operation: string, request: string): Promise<void> {
  for (const [name, raw] of Object.entries(BODIES)) {
    // A bulk operation whose body names nothing takes the rows of other scenarios.
    if (operation.includes("/bulk_") && name === "an unknown field") continue;
    await world.send(`${operation}: ${name}`, request, { raw, view: () => null });
  }
}

/** The operation with an unknown id, or an unknown name, for each parameter of the path. */
function fill(world: World, operation: string): string {
  return operation.replaceAll(/\{(\w+)\}/g, (_, name: string) =>
    name.endsWith("id") ? world.id(`${operation} ${name}`) : world.name("none"),
  );
}
